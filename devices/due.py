"""Writing down what time alone changed: silence, and the end of maintenance.

Readers see it the moment it is due. A sweep stores it soon after; whatever else sets a status
stores it first, so that no silence is missing in a device's history.
"""

from __future__ import annotations

from datetime import datetime

from devices.enums import HEARD
from devices.models import Device, StatusChange
from devices.pace import pace
from devices.querysets import DeviceQuerySet
from devices.status import PATIENCE, service_was_away
from homepot.bulk import insert_rows, update_rows

MOVED_COLUMNS = ("status", "status_reason", "status_since", "status_due_at")


def due_devices(now: datetime) -> DeviceQuerySet:
    """Those whose time has come by `now`; none while devices deserve time to come back."""
    is_due = Device.objects.filter(~service_was_away(now, pace.interval), status_due_at__lte=now)
    return is_due.with_status(now)


def store_due(devices: DeviceQuerySet) -> int:
    """Store what readers see of `devices`, which come from `due_devices`; returns their number.

    The caller holds a lock on them, so that what is written still follows from what is read.
    """
    rows = devices.values_list(
        "pk", "status", "last_seen", "current_status", "current_reason", "current_since"
    )
    moved, changes = [], []
    for pk, old_status, last_seen, status, reason, since in rows:
        silent_at = last_seen + PATIENCE * pace.interval if status in HEARD else None
        moved.append((pk, status, reason, since, silent_at))
        if status != old_status:
            changes.append((pk, old_status, status, reason, since))
    if moved:
        update_rows(Device, MOVED_COLUMNS, moved)
    if changes:
        insert_rows(StatusChange, ("device", "old_status", "new_status", "reason", "at"), changes)
    return len(moved)
