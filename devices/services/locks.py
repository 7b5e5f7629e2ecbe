"""Reading a device again under a lock, before it is changed."""

from __future__ import annotations

from devices.enums import SPEAKING
from devices.errors import DeviceMayNotSpeakError, DeviceRetiredError
from devices.models import Device


def lock_device(device: Device, *, leaves: bool = False) -> Device:
    """With `leaves`, also those wait who are just giving the device work."""
    # SQLite has no row locks and needs none: its write transactions take turns.
    return Device.objects.select_for_update(no_key=not leaves).get(pk=device.pk)


def lock_active_device(device: Device, *, leaves: bool = False) -> Device:
    """Raises DeviceRetiredError when it has been retired."""
    locked = lock_device(device, leaves=leaves)
    if not locked.is_active:
        raise DeviceRetiredError(f"Device {device.device_id} is retired and cannot be changed.")
    return locked


def lock_speaking_device(device: Device) -> Device:
    """Raises DeviceMayNotSpeakError when it was suspended or retired since it showed its key."""
    locked = lock_device(device)
    if locked.lifecycle_state not in SPEAKING:
        raise DeviceMayNotSpeakError(locked.lifecycle_state)
    return locked
