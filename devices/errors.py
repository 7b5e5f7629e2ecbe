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


class DeviceMayNotSpeakError(DomainError):
    """What every call of a device in this state is answered."""

    code = "permission_denied"
    status = 403

    def __init__(self, lifecycle_state: str) -> None:
        super().__init__(f"This device is {lifecycle_state}; it may not speak.")


class UnknownSiteError(DomainError):
    code = "unknown_site"
    status = 404


class EnrolmentRefusedError(DomainError):
    code = "enrolment_refused"
    status = 401
