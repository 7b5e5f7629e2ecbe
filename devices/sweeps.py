"""What the service does to devices and their history by itself: see `homepot/sweeps.py`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import BigIntegerField, Max, Min, Model, OuterRef, Q, QuerySet, Subquery

from devices.due import devices_to_sweep, store_due
from devices.models import (
    DeviceEvent,
    HealthCheck,
    HealthRollup,
    RollupProgress,
    SiteMinute,
    StatusChange,
)
from devices.rollups import roll_up_steps
from homepot.sweeps import move_mark, read_mark, run_steps

# Devices that are looked at in one transaction, to move their status if its time has come.
SWEPT_AT_ONCE = 500
# Rows looked at, and at most deleted, in one transaction.
PRUNED_AT_ONCE = 1000


def mark_silent_devices(now: datetime) -> int:
    """Store what readers already see of devices whose time has come by `now`.

    Silent ones are offline, and ended maintenance is over. Returns the number of devices.
    """
    return run_steps(_flip_due_devices(now))


def _flip_due_devices(now: datetime) -> Iterator[int]:
    while any(counts := _look_at_some_devices(now)):
        flipped, _ = counts
        yield flipped


@transaction.atomic
def _look_at_some_devices(now: datetime) -> tuple[int, int]:
    # SQLite has one lock for all writers, which `atomic` took. On PostgreSQL two sweeps at once
    # share them, and one that is just checking in is not waited for. Each look is the last
    # until a later time, so those in front keep nobody behind them from being looked at.
    locked = devices_to_sweep(now).select_for_update(skip_locked=True, no_key=True)
    return store_due(locked.order_by("sweep_at")[:SWEPT_AT_ONCE], now)


def roll_up_health_checks(now: datetime) -> int:
    """Add the checks that came to the sums that charts read. Returns their number."""
    return run_steps(roll_up_steps(now))


def prune_health_checks(now: datetime) -> int:
    """Delete old checks that are part of the sums, but for the latest of each device."""
    progress = RollupProgress.objects.filter(pk=1).values_list("rolled_up_to", flat=True)
    steps = _prune(
        "prune_health_checks",
        _all_but_latest(HealthCheck, "checked_at"),
        "checked_at",
        _history_begins(now),
        up_to=progress.first() or 0,
    )
    return run_steps(steps)


def prune_device_events(now: datetime) -> int:
    """Delete old events."""
    events = DeviceEvent.objects.all()
    return run_steps(_prune("prune_device_events", events, "at", _history_begins(now)))


def prune_site_minutes(now: datetime) -> int:
    """Delete the sums by minute of a time from which there are no checks any more.

    Kept as long as those by hour, they would be the largest table by far.
    """
    minutes = SiteMinute.objects.all()
    return run_steps(_prune("prune_site_minutes", minutes, "minute", _history_begins(now)))


def prune_health_rollups(now: datetime) -> int:
    """Delete old sums by hour."""
    rollups = HealthRollup.objects.all()
    return run_steps(_prune("prune_health_rollups", rollups, "hour", _rollups_begin(now)))


def prune_status_changes(now: datetime) -> int:
    """Delete old changes of status, but for the latest of each device."""
    changes = _all_but_latest(StatusChange, "at")
    return run_steps(_prune("prune_status_changes", changes, "at", _rollups_begin(now)))


def _history_begins(now: datetime) -> datetime:
    return now - timedelta(days=settings.HISTORY_DAYS)


def _rollups_begin(now: datetime) -> datetime:
    return now - timedelta(days=settings.ROLLUP_DAYS)


def _all_but_latest(model: type[Model], time_column: str) -> QuerySet[Any]:
    rows = model._default_manager
    # Looked up for each row, by the index of its device. Asked whether a later one exists,
    # PostgreSQL sometimes reads the whole table for a few rows.
    latest = rows.filter(device=OuterRef("device")).order_by(f"-{time_column}", "-pk")
    return rows.filter(~Q(pk=Subquery(latest.values("pk")[:1])))


def _prune(
    sweep: str,
    rows: QuerySet[Any],
    time_column: str,
    before: datetime,
    *,
    up_to: int = BigIntegerField.MAX_BIGINT,
) -> Iterator[int]:
    """Delete those of `rows` that are older than `before`, by id up to `up_to`; yield how many.

    Walks the table by id, by which rows are about as old as they come, and ends where none is
    old: it never looks for old rows among the young. The next run of `sweep` goes on where
    this one stopped, or it would not get past what has to stay; after the end it begins
    again, for what had to stay then may go now.
    """
    sweep = f"{__name__}.{sweep}"
    above = read_mark(sweep)
    while True:
        window = (
            rows.model.objects.filter(pk__gt=above, pk__lte=up_to)
            .order_by("pk")
            .values("pk", time_column)[:PRUNED_AT_ONCE]
            .aggregate(last=Max("pk"), oldest=Min(time_column))
        )
        last = window["last"]
        if last is None or window["oldest"] >= before:
            move_mark(sweep, above, 0)
            return
        # No second upper end beside `last`: SQLite might go by the other.
        old = rows.filter(pk__gt=above, pk__lte=last, **{f"{time_column}__lt": before})
        count = old.delete()[0]
        move_mark(sweep, above, last)
        yield count
        above = last
