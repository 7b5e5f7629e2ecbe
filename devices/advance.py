"""What a report makes of a device, in memory: see `taking_in.py` for what stores it.

PostgreSQL's check-in (`check_in/check_in_1.sql`) does the same in SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from devices.device_state import DeviceState
from devices.enums import HEARD, DeviceStatus
from devices.models import Device, StatusChange
from devices.pace import pace
from devices.reports import Report
from devices.status import UNHEALTHY_REASON, derive_due, derive_status


@dataclass(frozen=True, slots=True)
class Moment:
    """When a report came, and from when on its device counts as silent if no other comes.

    It fails after so many bad checks.
    """

    now: datetime
    silent_at: datetime
    bad_checks_for_error: int = field(default_factory=lambda: settings.BAD_CHECKS_FOR_ERROR)


def advance(
    device: Device | DeviceState,
    report: Report | None,
    moment: Moment,
    *,
    is_repeat: bool,
    service_was_away: bool,
) -> tuple[StatusChange | None, StatusChange | None]:
    """Move `device`, in memory, by one report; the status changes are not saved.

    The first is what was due before and no sweep has written down yet, the second what the
    report made of it.
    """
    now = moment.now
    reported_at = report.reported_at if report else None
    is_late = (
        reported_at is not None
        and device.last_reported_at is not None
        and reported_at < device.last_reported_at
    )
    is_due = (
        device.status_due_at is not None and device.status_due_at <= now and not service_was_away
    )
    is_no_news = is_late or is_repeat
    due = _settle(device, moment) if is_due and not is_no_news else None
    device.last_seen = max(device.last_seen or now, now)
    if report and (clipped := report.reported_at_by(now)):
        device.last_reported_at = max(device.last_reported_at or clipped, clipped)
    if is_no_news:
        is_heard = not is_due and device.status in HEARD
        _set_due(device, moment.silent_at if is_heard else device.status_due_at, now)
        return None, None

    old_status = device.status
    _apply(device, report, moment, old_status)
    if device.status == old_status:
        return due, None
    device.status_since = now
    change = StatusChange(
        device_id=device.pk,
        old_status=old_status,
        new_status=device.status,
        reason=device.status_reason,
        at=now,
    )
    return due, change


def _settle(device: Device | DeviceState, moment: Moment) -> StatusChange | None:
    """Turn `device`, in memory, into what it has been since its time came: see `due.py`."""
    old_status, at = device.status, device.status_due_at
    device.status, device.status_reason = derive_due(
        status=old_status,
        last_seen=device.last_seen,
        heard_after=moment.now - pace.patience(pace.interval),
        bad_checks=device.bad_checks,
        bad_checks_for_error=moment.bad_checks_for_error,
    )
    if at is None or device.status == old_status:
        return None
    device.status_since = at
    return StatusChange(
        device_id=device.pk,
        old_status=old_status,
        new_status=device.status,
        reason=device.status_reason,
        at=at,
    )


def _apply(
    device: Device | DeviceState,
    report: Report | None,
    moment: Moment,
    old_status: str,
) -> None:
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
        bad_checks_for_error=moment.bad_checks_for_error,
        error_message=(report.error_message if report else "") or UNHEALTHY_REASON,
        maintenance_until=device.maintenance_until,
        now=moment.now,
    )
    # A heartbeat of a failing device says nothing new about why.
    is_old_news = report is None and old_status == derived.status == DeviceStatus.ERROR
    device.status = derived.status
    device.status_reason = device.status_reason if is_old_news else derived.reason
    _set_due(device, derived.due_at, moment.now)


def _set_due(device: Device | DeviceState, due_at: datetime | None, now: datetime) -> None:
    """Say when time alone will change the status; `sweep_at` stays while it can."""
    device.status_due_at = due_at
    sweep_at = device.sweep_at
    if sweep_at is None or sweep_at <= now or due_at is None or due_at < sweep_at:
        device.sweep_at = due_at
