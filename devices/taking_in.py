"""What a report does to a device, in Python: SQLite's check-ins, batches, checks by staff.

PostgreSQL's check-in (`check_in.py`) does the same in SQL. Everything here is given devices
that were read under a lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction

from devices.advance import Moment, advance
from devices.models import Device, HealthCheck, StatusChange
from devices.reports import Report
from homepot.bulk import find_stored, insert_rows, update_rows
from homepot.errors import violated_columns

# What a report writes of its device.
MOVED_COLUMNS = (
    "last_seen",
    "lifecycle_state",
    "last_reported_at",
    "last_check_healthy",
    "bad_checks",
    "status",
    "status_reason",
    "status_since",
    "status_due_at",
    "sweep_at",
    "firmware_version",
    "config_version",
)
CHECK_COLUMNS = (
    "device",
    "is_healthy",
    "response_time_ms",
    "status_code",
    "endpoint",
    "response_data",
    "error_message",
    "checked_at",
    "reported_at",
    "reported_by",
)
# What tells a check from others.
CHECK_KEY = ("device", "reported_at")
CHANGE_COLUMNS = ("device", "old_status", "new_status", "reason", "evidence", "at")


def take_in(
    device: Device, report: Report | None, moment: Moment, *, service_was_away: bool
) -> HealthCheck | None:
    """Store a report about `device`, and what follows from it; None is a heartbeat.

    Returns the stored check, None for a heartbeat or a check that was stored before.
    """
    check = _store_check(device, report, moment) if report else None
    is_repeat = report is not None and check is None
    due, change = advance(
        device, report, moment, is_repeat=is_repeat, service_was_away=service_was_away
    )
    device.save(update_fields=MOVED_COLUMNS)
    if change and check:
        change.evidence = check.pk
    if changes := [made for made in (due, change) if made]:
        StatusChange.objects.bulk_create(changes)
    return check


def take_in_many(
    reports: Sequence[tuple[Device, Report]],
    moment: Moment,
    *,
    reported_by: Device | None,
    service_was_away: bool,
) -> None:
    """`take_in` for many checks, of one or several devices, in a constant number of statements.

    The checks of one device are taken in the order of their `reported_at`; they leave one
    status change at most, from what it was to what it became, after what was due before.
    """
    in_order = sorted(reports, key=lambda pair: pair[1].reported_at or moment.now)
    reported = [
        (device.pk, report.reported_at) for device, report in in_order if report.reported_at
    ]
    stored_before: set[tuple[int, datetime | None]] = {
        reported[place] for place in find_stored(HealthCheck, CHECK_KEY, reported)
    }
    fresh: list[tuple[Device, Report]] = []
    dues: dict[int, StatusChange] = {}
    changes: dict[int, StatusChange] = {}
    last_fresh: dict[int, int] = {}
    since = {device.pk: device.status_since for device, _ in in_order}
    for device, report in in_order:
        key = (device.pk, report.reported_at)
        is_repeat = key in stored_before
        due, change = advance(
            device, report, moment, is_repeat=is_repeat, service_was_away=service_was_away
        )
        if due:
            dues[device.pk] = due
            since[device.pk] = due.at
        if change:
            first = changes.get(device.pk, change)
            change.old_status = first.old_status
            changes[device.pk] = change
        if not is_repeat:
            last_fresh[device.pk] = len(fresh)
            fresh.append((device, report))
            if report.reported_at is not None:
                stored_before.add(key)
    ids: list[int] = []
    if fresh:
        ids = insert_rows(
            HealthCheck,
            CHECK_COLUMNS,
            [_check_row(device, report, moment, reported_by) for device, report in fresh],
        )
    devices = {device.pk: device for device, _ in in_order}
    for pk, device in devices.items():
        if pk in changes and changes[pk].old_status != changes[pk].new_status:
            changes[pk].evidence = ids[last_fresh[pk]]
        else:  # it is what it was, also when it was something else in between
            changes.pop(pk, None)
            device.status_since = since[pk]
    update_rows(
        Device,
        MOVED_COLUMNS,
        [
            (pk, *(getattr(device, name) for name in MOVED_COLUMNS))
            for pk, device in sorted(devices.items())
        ],
    )
    if rows := [
        [getattr(change, name) for name in CHANGE_COLUMNS]
        for change in (*dues.values(), *changes.values())
    ]:
        insert_rows(StatusChange, CHANGE_COLUMNS, rows)


def _store_check(device: Device, report: Report, moment: Moment) -> HealthCheck | None:
    """The stored check, or None when it was stored before."""
    row = _check_row(device, report, moment, None)
    check = HealthCheck(**dict(zip(CHECK_COLUMNS, row, strict=True)))
    try:
        with transaction.atomic():
            check.save(force_insert=True)
    except IntegrityError as error:
        if violated_columns(error) != ("device_id", "reported_at"):
            raise
        return None
    return check


def _check_row(
    device: Device, report: Report, moment: Moment, reported_by: Device | None
) -> tuple[object, ...]:
    return (
        device,
        report.is_healthy,
        report.response_time_ms,
        report.status_code,
        report.endpoint,
        report.response_data,
        report.error_message,
        moment.now,
        report.reported_at,
        reported_by if reported_by != device else None,
    )
