"""What the present state of a device can refuse."""

from __future__ import annotations

from homepot.errors import DomainError


class DeviceRetiredError(DomainError):
    code = "device_retired"


class CheckAlreadyStoredError(DomainError):
    code = "check_already_stored"
