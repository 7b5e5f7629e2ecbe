"""Writing down what time alone changed: silence, and the end of maintenance.

Readers see it the moment it is due. A sweep stores it soon after; whatever else sets a status
stores it first, so that no silence is missing in a device's history.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import F

from devices.enums import HEARD
from devices.models import Device, StatusChange
from devices.pace import pace
from devices.querysets import DeviceQuerySet
from devices.status import PATIENCE, service_was_away
from homepot.bulk import any_of, insert_rows, update_rows

MOVED_COLUMNS = ("status", "status_reason", "status_since", "status_due_at", "sweep_at")


def devices_to_sweep(now: datetime) -> DeviceQuerySet:
    """Those whose time may have come by `now`; none while devices deserve time to come back.

    Most checked in meanwhile: see `Device.sweep_at`.
    """
    to_sweep = Device.objects.filter(~service_was_away(now, pace.interval), sweep_at__lte=now)
    return to_sweep.with_status(now)


def due_devices(now: datetime) -> DeviceQuerySet:
    """Those whose time has come by `now`, found by the index of when they are swept."""
    return devices_to_sweep(now).filter(status_due_at__lte=now)


def store_due(devices: DeviceQuerySet, now: datetime) -> tuple[int, int]:
    """Store what readers see of those of `devices` whose time has come by `now`.

    They come from `devices_to_sweep`. Those that checked in meanwhile are looked at again when
    their time will have come. Returns the numbers of both. The caller holds a lock on them, so
    that what is written still follows from what is read.
    """
    rows = devices.values_list(
        "pk",
        "status_due_at",
        "status",
        "last_seen",
        "current_status",
        "current_reason",
        "current_since",
    )
    moved, changes, heard = [], [], []
    for pk, due_at, old_status, last_seen, status, reason, since in rows:
        if due_at > now:
            heard.append(pk)
            continue
        silent_at = last_seen + PATIENCE * pace.interval if status in HEARD else None
        moved.append((pk, status, reason, since, silent_at, silent_at))
        if status != old_status:
            changes.append((pk, old_status, status, reason, since))
    if moved:
        update_rows(Device, MOVED_COLUMNS, moved)
    if changes:
        insert_rows(StatusChange, ("device", "old_status", "new_status", "reason", "at"), changes)
    if heard:
        Device.objects.filter(pk__in=any_of(heard)).update(sweep_at=F("status_due_at"))
    return len(moved), len(heard)
