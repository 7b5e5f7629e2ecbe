"""Valid devices and health checks, saved directly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from django.utils import timezone

from accounts.keys import DEVICE_KEY_PREFIX, digest_of, make_key
from devices.enums import DeviceStatus, DeviceType, EventKind, LifecycleState
from devices.models import Device, DeviceCredential, DeviceEvent, HealthCheck, StatusChange
from homepot.bulk import insert_rows
from sites.tests.factories import make_site

# Above the numbers of the demo's terminals.
numbers = count(1001)


def make_device(**fields: Any) -> Device:
    """An active terminal, at a site of its own unless `site` is given."""
    number = next(numbers)
    if "site" not in fields:
        fields["site"] = make_site()
    if fields.get("lifecycle_state") == LifecycleState.RETIRED:
        fields.setdefault("is_active", False)
    fields.setdefault("sweep_at", fields.get("status_due_at"))
    defaults = {
        "device_id": f"pos-terminal-{number}",
        "name": f"POS Terminal {number}",
        "device_type": DeviceType.POS_TERMINAL,
        "lifecycle_state": LifecycleState.ACTIVE,
    }
    return Device.objects.create(**defaults | fields)


def make_fleet(size: int, **fields: Any) -> list[Device]:
    """Many active terminals at one site, in a few statements."""
    site = fields.pop("site", None) or make_site()
    fields.setdefault("sweep_at", fields.get("status_due_at"))
    return Device.objects.bulk_create(
        Device(
            site=site,
            device_id=f"till-{site.pk}-{number}",
            name=f"Till {number}",
            device_type=DeviceType.POS_TERMINAL,
            lifecycle_state=LifecycleState.ACTIVE,
            **fields,
        )
        for number in range(size)
    )


def make_keys(devices: Sequence[Device]) -> None:
    """Give each of `devices` a key, which is "hpd_" and its id, and was used a moment ago."""
    now = timezone.now()
    insert_rows(
        DeviceCredential,
        ("device", "key_digest", "hint", "created_at", "last_used_at"),
        [
            (device, digest_of(f"{DEVICE_KEY_PREFIX}{device.device_id}"), "hpd_", now, now)
            for device in devices
        ],
    )


def make_health_check(**fields: Any) -> HealthCheck:
    """A healthy check, of a device of its own unless `device` is given.

    The device's own columns stay as they are.
    """
    if "device" not in fields:
        fields["device"] = make_device()
    return HealthCheck.objects.create(**{"is_healthy": True, "response_time_ms": 42} | fields)


def make_credential(device: Device, **fields: Any) -> str:
    """Give `device` a key that was used a moment ago, and return it."""
    new = make_key(DEVICE_KEY_PREFIX)
    DeviceCredential.objects.create(device=device, key_digest=new.digest, hint=new.hint, **fields)
    return new.key


def make_status_change(device: Device, **fields: Any) -> StatusChange:
    """From online to offline, just now."""
    defaults = {
        "old_status": DeviceStatus.ONLINE,
        "new_status": DeviceStatus.OFFLINE,
        "at": timezone.now(),
    }
    return StatusChange.objects.create(device=device, **defaults | fields)


def make_event(device: Device, **fields: Any) -> DeviceEvent:
    """A line of its log."""
    return DeviceEvent.objects.create(device=device, **{"kind": EventKind.LOG} | fields)
