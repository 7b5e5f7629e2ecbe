"""What a report does to a device, in Python: SQLite's check-ins, batches, checks by staff.

PostgreSQL's check-in (`check_in.py`) does the same in SQL. Everything here is given devices
that were read under a lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from devices.enums import DeviceStatus
from devices.models import Device, HealthCheck, StatusChange
from devices.reports import Report
from devices.status import UNHEALTHY_REASON, derive_status, silent_reason
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
# In these, silence is news.
HEARD = (DeviceStatus.ONLINE, DeviceStatus.ERROR)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a report came, and from when on its device counts as silent if no other comes."""

    now: datetime
    silent_at: datetime


def take_in(
    device: Device, report: Report | None, moment: Moment, *, service_was_away: bool
) -> HealthCheck | None:
    """Store a report about `device`, and what follows from it; None is a heartbeat.

    Returns the stored check, None for a heartbeat or a check that was stored before.
    """
    check = _store_check(device, report, moment) if report else None
    is_repeat = report is not None and check is None
    changes = advance(
        device, report, moment, is_repeat=is_repeat, service_was_away=service_was_away
    )
    device.save(update_fields=MOVED_COLUMNS)
    if changes:
        changes[-1].evidence = check.pk if check else None
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
    status change at most, from what it was to what it became.
    """
    in_order = sorted(reports, key=lambda pair: pair[1].reported_at or moment.now)
    reported = [
        (device.pk, report.reported_at) for device, report in in_order if report.reported_at
    ]
    stored_before: set[tuple[int, datetime | None]] = {
        reported[place] for place in find_stored(HealthCheck, CHECK_KEY, reported)
    }
    fresh: list[tuple[Device, Report]] = []
    changes: dict[int, list[StatusChange]] = {}
    last_fresh: dict[int, int] = {}
    since = {device.pk: device.status_since for device, _ in in_order}
    for device, report in in_order:
        key = (device.pk, report.reported_at)
        is_repeat = key in stored_before
        changes.setdefault(device.pk, []).extend(
            advance(device, report, moment, is_repeat=is_repeat, service_was_away=service_was_away)
        )
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
    kept_changes = {pk: _collapsed(moves) for pk, moves in changes.items()}
    for pk, kept in kept_changes.items():
        if not kept:  # it is what it was, also when it was something else in between
            devices[pk].status_since = since[pk]
    update_rows(
        Device,
        MOVED_COLUMNS,
        [
            (pk, *(getattr(device, name) for name in MOVED_COLUMNS))
            for pk, device in sorted(devices.items())
        ],
    )
    rows = []
    for pk, kept in kept_changes.items():
        if kept and pk in last_fresh:
            kept[-1].evidence = ids[last_fresh[pk]]
        rows += [[getattr(change, name) for name in CHANGE_COLUMNS] for change in kept]
    if rows:
        insert_rows(StatusChange, CHANGE_COLUMNS, rows)


def advance(
    device: Device,
    report: Report | None,
    moment: Moment,
    *,
    is_repeat: bool,
    service_was_away: bool,
) -> list[StatusChange]:
    """Move `device`, in memory, by one report and return the status changes, unsaved."""
    now = moment.now
    reported_at = report.reported_at if report else None
    is_late = (
        reported_at is not None
        and device.last_reported_at is not None
        and reported_at < device.last_reported_at
    )
    was_silent = (
        device.status in HEARD
        and device.status_due_at is not None
        and device.status_due_at <= now
        and not service_was_away
    )
    silence = StatusChange(
        device=device,
        old_status=device.status,
        new_status=DeviceStatus.OFFLINE,
        reason=silent_reason(device.last_seen),
        at=device.status_due_at or now,
    )
    device.last_seen = max(device.last_seen or now, now)
    if report and (clipped := report.reported_at_by(now)):
        device.last_reported_at = max(device.last_reported_at or clipped, clipped)
    if is_late or is_repeat:
        if not was_silent and device.status in HEARD:
            device.status_due_at = moment.silent_at
        return []

    old_status = DeviceStatus.OFFLINE if was_silent else DeviceStatus(device.status)
    _apply(device, report, moment, old_status)
    if device.status == old_status:
        return []
    device.status_since = now
    change = StatusChange(
        device=device,
        old_status=old_status,
        new_status=device.status,
        reason=device.status_reason,
        at=now,
    )
    return [silence, change] if was_silent else [change]


def _apply(device: Device, report: Report | None, moment: Moment, old_status: DeviceStatus) -> None:
    """Move what a report that counts moves."""
    if report is not None:
        device.last_check_healthy = report.is_healthy
        device.bad_checks = 0 if report.is_healthy else device.bad_checks + 1
        device.firmware_version = report.firmware_version or device.firmware_version
        device.config_version = report.config_version or device.config_version
    derived = derive_status(
        last_seen=device.last_seen,
        silent_at=moment.silent_at,
        bad_checks=device.bad_checks,
        bad_checks_for_error=settings.BAD_CHECKS_FOR_ERROR,
        error_message=(report.error_message if report else "") or UNHEALTHY_REASON,
        maintenance_until=device.maintenance_until,
        now=moment.now,
    )
    # A heartbeat of a failing device says nothing new about why.
    is_old_news = report is None and old_status == derived.status == DeviceStatus.ERROR
    device.status = derived.status
    device.status_reason = device.status_reason if is_old_news else derived.reason
    device.status_due_at = derived.due_at


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
        reported_by,
    )


def _collapsed(changes: list[StatusChange]) -> list[StatusChange]:
    """The silence that ended, if any, and one change from what was to what became."""
    if not changes:
        return []
    silence = [change for change in changes[:1] if change.new_status == DeviceStatus.OFFLINE]
    moves = changes[len(silence) :]
    moves[-1].old_status = moves[0].old_status
    return silence + ([] if moves[-1].old_status == moves[-1].new_status else moves[-1:])
