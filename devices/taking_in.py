"""What a report does to a device, in Python: SQLite's check-ins, batches, checks by staff.

PostgreSQL's check-in (`check_in/check_in_1.sql`) does the same in SQL. Everything here is given
devices that were read under a lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from django.db import IntegrityError, transaction

from devices.advance import Moment, advance
from devices.device_state import DeviceState
from devices.models import Device, HealthCheck, StatusChange
from devices.reports import Report
from homepot.bulk import insert_new_rows, insert_rows, update_rows
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
    "device_id",
    "is_healthy",
    "response_time_ms",
    "status_code",
    "endpoint",
    "response_data",
    "error_message",
    "checked_at",
    "reported_at",
    "reported_by_id",
)
# What tells a check from others.
CHECK_KEY = ("device_id", "reported_at")
CHANGE_COLUMNS = ("device_id", "old_status", "new_status", "reason", "evidence", "at")

_moved = attrgetter("pk", *MOVED_COLUMNS)


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
    reports: Sequence[tuple[DeviceState, Report]],
    moment: Moment,
    *,
    reported_by: int | None,
    service_was_away: bool,
) -> None:
    """`take_in` for many checks, of one or several devices, in a constant number of statements.

    The checks of one device are taken in the order of their `reported_at`; they leave one
    status change at most, from what it was to what it became, after what was due before.
    `reported_by` is the gateway that sent them. `reports` must not be empty.
    """
    in_order = sorted(reports, key=lambda pair: pair[1].reported_at or moment.now)
    ids = insert_new_rows(
        HealthCheck,
        CHECK_COLUMNS,
        [_check_row(device.pk, report, moment, reported_by) for device, report in in_order],
        key=CHECK_KEY,
    )
    dues: dict[int, StatusChange] = {}
    changes: dict[int, StatusChange] = {}
    last_fresh: dict[int, int] = {}
    since = {device.pk: device.status_since for device, _ in in_order}
    for (device, report), check_id in zip(in_order, ids, strict=True):
        due, change = advance(
            device,
            report,
            moment,
            is_repeat=check_id is None,
            service_was_away=service_was_away,
        )
        if due:
            dues[device.pk] = due
            since[device.pk] = due.at
        if change:
            first = changes.get(device.pk, change)
            change.old_status = first.old_status
            changes[device.pk] = change
        if check_id is not None:
            last_fresh[device.pk] = check_id
    devices = {device.pk: device for device, _ in in_order}
    for pk, device in devices.items():
        if pk in changes and changes[pk].old_status != changes[pk].new_status:
            changes[pk].evidence = last_fresh[pk]
        else:  # it is what it was, also when it was something else in between
            changes.pop(pk, None)
            device.status_since = since[pk]
    update_rows(Device, MOVED_COLUMNS, [_moved(devices[pk]) for pk in sorted(devices)])
    if rows := [
        [getattr(change, name) for name in CHANGE_COLUMNS]
        for change in (*dues.values(), *changes.values())
    ]:
        insert_rows(StatusChange, CHANGE_COLUMNS, rows)


def _store_check(device: Device, report: Report, moment: Moment) -> HealthCheck | None:
    """The stored check, or None when it was stored before."""
    row = _check_row(device.pk, report, moment, None)
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
    device_pk: int, report: Report, moment: Moment, reported_by: int | None
) -> tuple[object, ...]:
    return (
        device_pk,
        report.is_healthy,
        report.response_time_ms,
        report.status_code,
        report.endpoint or "",
        report.response_data,
        report.error_message or "",
        moment.now,
        report.reported_at,
        reported_by if reported_by != device_pk else None,
    )
