"""What the service does to devices and their history by itself: see `homepot/sweeps.py`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction

from devices.models import Device, StatusChange
from devices.pace import pace
from devices.querysets import DeviceQuerySet
from devices.rollups import roll_up_steps
from devices.status import PATIENCE, service_was_away
from devices.taking_in import HEARD
from homepot.bulk import insert_rows, update_rows
from homepot.sweeps import run_steps

# Devices whose status is moved in one transaction.
FLIPS_AT_ONCE = 500


def mark_silent_devices(now: datetime) -> int:
    """Store what readers already see of devices whose time has come by `now`.

    Silent ones are offline, and ended maintenance is over. Returns the number of devices.
    """
    return run_steps(_flip_due_devices(now))


def _flip_due_devices(now: datetime) -> Iterator[int]:
    while count := _flip_some_due_devices(now):
        yield count


def due_devices(now: datetime) -> DeviceQuerySet:
    """Those whose time has come by `now`; none while devices deserve time to come back.

    Two sweeps at once share them, and one that is just checking in is not waited for.
    """
    return (
        Device.objects.filter(~service_was_away(now, pace.interval), status_due_at__lte=now)
        .with_status(now)
        .order_by("status_due_at")
        .select_for_update(skip_locked=True, no_key=True)
    )


@transaction.atomic
def _flip_some_due_devices(now: datetime) -> int:
    # Read under a lock, so that what is written below still follows from it: SQLite has one
    # for all writers, which `atomic` took.
    rows = due_devices(now).values_list(
        "pk", "status", "last_seen", "current_status", "current_reason", "current_since"
    )[:FLIPS_AT_ONCE]
    moved, changes = [], []
    for pk, old_status, last_seen, status, reason, since in rows:
        silent_at = last_seen + PATIENCE * pace.interval if status in HEARD else None
        moved.append((pk, status, reason, since, silent_at))
        if status != old_status:
            changes.append((pk, old_status, status, reason, since))
    if moved:
        columns = ("status", "status_reason", "status_since", "status_due_at")
        update_rows(Device, columns, moved)
    if changes:
        insert_rows(StatusChange, ("device", "old_status", "new_status", "reason", "at"), changes)
    return len(moved)


def roll_up_health_checks(now: datetime) -> int:
    """Add the checks that came to the sums that charts read. Returns their number."""
    return run_steps(roll_up_steps(now))
