"""What devices change by what they tell of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit import services as audit
from audit.enums import AuditEvent
from devices.advance import Moment
from devices.device_state import DeviceState, lock_states
from devices.enums import SPEAKING, DeviceType, EventKind, LifecycleState, Permission
from devices.errors import DeviceMayNotSpeakError
from devices.field_reader import FieldReader
from devices.metrics import count_batch
from devices.models import Device, DeviceEvent
from devices.pace import pace
from devices.reports import Report
from devices.services.locks import lock_speaking_device
from devices.status import is_service_away
from devices.taking_in import take_in, take_in_many
from homepot.bulk import insert_rows
from homepot.changes import update_row
from homepot.text import MAX_TEXT_LENGTH

NOT_YOURS = "This is no active device that you may report for."


def check_in_many(*, reporter_id: str, reports: Mapping[int, tuple[str, Report]]) -> dict[int, str]:
    """Take in reports of a device, and of its site's devices if it is an active gateway.

    `reports` has them by index, each with the id of its device, "" for the reporter itself.
    Returns what was rejected, and why, by index. Raises DeviceMayNotSpeakError.
    """
    rejected = _take_in_reports(reporter_id, reports) if reports else {}
    count_batch(len(reports) - len(rejected))
    return rejected


@transaction.atomic
def _take_in_reports(reporter_id: str, reports: Mapping[int, tuple[str, Report]]) -> dict[int, str]:
    # The devices first, the reporter among them, all in one order: two batches about the same
    # ones take turns, and what the reporter may do is what it may do now.
    ids = {device_id or reporter_id for device_id, _ in reports.values()} | {reporter_id}
    locked, was_away = lock_states(ids, timezone.now())
    reporter = locked[reporter_id]
    if reporter.lifecycle_state not in SPEAKING:
        raise DeviceMayNotSpeakError(reporter.lifecycle_state)
    is_gateway = (
        reporter.device_type == DeviceType.GATEWAY
        and reporter.lifecycle_state == LifecycleState.ACTIVE
    )
    reported = {"": reporter, reporter_id: reporter}
    if is_gateway:
        for device_id, device in locked.items():
            is_active = device.lifecycle_state == LifecycleState.ACTIVE
            if is_active and device.site_id == reporter.site_id:
                reported[device_id] = device
    rejected: dict[int, str] = {}
    allowed: list[tuple[DeviceState, Report]] = []
    for index, (device_id, report) in reports.items():
        if found := reported.get(device_id):
            allowed.append((found, report))
        else:
            rejected[index] = NOT_YOURS
    if allowed:
        reporter.lifecycle_state = LifecycleState.ACTIVE
        now = timezone.now()
        take_in_many(
            allowed,
            Moment(now=now, silent_at=now + pace.patience(pace.told())),
            reported_by=reporter.pk if is_gateway else None,
            service_was_away=was_away,
        )
    return rejected


@transaction.atomic
def record_facts(*, device: Device, facts: Mapping[str, Any]) -> Device:
    """Keep what a device tells of its own make, which shows that it lives.

    `facts` are columns of Device. Raises DeviceMayNotSpeakError.
    """
    now = timezone.now()
    locked = lock_speaking_device(device)
    locked.lifecycle_state = LifecycleState.ACTIVE
    take_in(
        locked,
        None,
        Moment(now=now, silent_at=now + pace.patience(pace.told())),
        service_was_away=is_service_away(now, pace.interval),
    )
    if changes := update_row(locked, facts):
        audit.record(event=AuditEvent.DEVICE_UPDATED, actor=locked, target=locked, changes=changes)
    return locked


@transaction.atomic
def grant_permissions(*, device: Device, permissions: Mapping[str, bool | None]) -> Device:
    """Keep what a device allows us; None, and names that we do not know, are ignored.

    Raises DeviceMayNotSpeakError.
    """
    locked = lock_speaking_device(device)
    known = {
        name: granted
        for name, granted in permissions.items()
        if granted is not None and name in Permission.values
    }
    if changes := update_row(locked, {"permissions": {**locked.permissions, **known}}):
        audit.record(
            event=AuditEvent.DEVICE_PERMISSIONS_CHANGED,
            actor=locked,
            target=locked,
            changes=changes,
        )
    return locked


def record_events(*, device: Device, kind: EventKind, events: Sequence[Mapping[str, Any]]) -> None:
    """Keep events that a device tells of, each a JSON object of whatever keys."""
    now = timezone.now()
    rows = []
    for event in events:
        reader = FieldReader(event)
        rows.append(
            (
                device,
                kind,
                reader.text("event_type", 100),
                (reader.text("severity", 20) or reader.text("level", 20)).lower(),
                reader.text("message", MAX_TEXT_LENGTH),
                dict(event),
                now,
            )
        )
        reader.finish()
    insert_rows(
        DeviceEvent,
        ("device", "kind", "event_type", "severity", "message", "data", "at"),
        rows,
    )
