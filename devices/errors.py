"""What the present state of a device can refuse."""

from __future__ import annotations

from homepot.errors import DomainError


class DeviceRetiredError(DomainError):
    code = "device_retired"


class CheckAlreadyStoredError(DomainError):
    code = "check_already_stored"


class DeviceSuspendedError(DomainError):
    code = "device_suspended"


class DeviceNotSuspendedError(DomainError):
    code = "device_not_suspended"


class UnknownSiteError(DomainError):
    code = "unknown_site"
    status = 404


class EnrolmentRefusedError(DomainError):
    code = "enrolment_refused"
    status = 401
