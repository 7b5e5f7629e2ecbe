"""Reading a device again under a lock, before it is changed."""

from __future__ import annotations

from devices.errors import DeviceRetiredError
from devices.models import Device


def lock_device(device: Device) -> Device:
    # SQLite has no row locks and needs none: its write transactions take turns.
    return Device.objects.select_for_update(no_key=True).get(pk=device.pk)


def lock_active_device(device: Device) -> Device:
    """Raises DeviceRetiredError when it has been retired."""
    locked = lock_device(device)
    if not locked.is_active:
        raise DeviceRetiredError(f"Device {device.device_id} is retired and cannot be changed.")
    return locked
