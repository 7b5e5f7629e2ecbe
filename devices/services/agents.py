"""What devices change by what they tell of themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from audit import services as audit
from audit.enums import AuditEvent
from devices.advance import Moment
from devices.enums import SPEAKING, DeviceType, EventKind, LifecycleState, Permission
from devices.errors import DeviceMayNotSpeakError
from devices.metrics import BATCHED_CHECK_INS
from devices.models import Device, DeviceEvent
from devices.pace import pace
from devices.reports import FieldReader, Report, read_device_id, read_report
from devices.services.locks import lock_speaking_device
from devices.status import is_service_away
from devices.taking_in import take_in, take_in_many
from homepot.bulk import insert_rows
from homepot.changes import update_row
from homepot.text import MAX_TEXT_LENGTH

NOT_YOURS = "This is no active device that you may report for."


def check_in_many(
    *,
    reporter: Device,
    entries: Sequence[Any],
    read: Callable[[Any], Report] = read_report,
) -> dict[int, str]:
    """Take in check-ins of `reporter`, and of its site's devices if it is an active gateway.

    Each of `entries` is a JSON object that `read` understands, with a `device_id` unless it is
    about the reporter. Returns what was rejected, and why, by index. Raises
    DeviceMayNotSpeakError.
    """
    rejected: dict[int, str] = {}
    read_entries: list[tuple[int, str, Report]] = []
    # Before the transaction: on SQLite it would hold everybody else up.
    for index, entry in enumerate(entries):
        try:
            report = read(entry)
            device_id = read_device_id(entry) or reporter.device_id
            read_entries.append((index, device_id, report))
        except ValidationError as error:
            rejected[index] = _in_one_line(error)
    if read_entries:
        rejected |= _take_in_read(reporter, read_entries)
        BATCHED_CHECK_INS.inc(len(entries) - len(rejected))
    return rejected


@transaction.atomic
def _take_in_read(
    reporter: Device, read_entries: Sequence[tuple[int, str, Report]]
) -> dict[int, str]:
    # The devices first, the reporter among them, all in one order: two batches about the same
    # ones take turns, and what the reporter may do is what it may do now.
    ids = {device_id for _, device_id, _ in read_entries} | {reporter.device_id}
    locked = {
        device.device_id: device
        for device in Device.objects.filter(device_id__in=ids)
        .order_by("pk")
        .select_for_update(no_key=True)
    }
    reporter = locked[reporter.device_id]
    if reporter.lifecycle_state not in SPEAKING:
        raise DeviceMayNotSpeakError(reporter.lifecycle_state)
    is_gateway = (
        reporter.device_type == DeviceType.GATEWAY
        and reporter.lifecycle_state == LifecycleState.ACTIVE
    )

    def may_be_reported(device: Device) -> bool:
        if device.pk == reporter.pk:
            return device.lifecycle_state in SPEAKING
        is_active = device.lifecycle_state == LifecycleState.ACTIVE
        return is_gateway and is_active and device.site_id == reporter.site_id

    rejected: dict[int, str] = {}
    reports = []
    for index, device_id, report in read_entries:
        device = locked.get(device_id)
        if device is not None and may_be_reported(device):
            reports.append((device, report))
        else:
            rejected[index] = NOT_YOURS
    if reports:
        if reporter.lifecycle_state == LifecycleState.PENDING:
            reporter.lifecycle_state = LifecycleState.ACTIVE
        now = timezone.now()
        take_in_many(
            reports,
            Moment(now=now, silent_at=now + pace.patience(pace.told())),
            reported_by=reporter if is_gateway else None,
            service_was_away=is_service_away(now, pace.interval),
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


def _in_one_line(error: ValidationError) -> str:
    detail: Any = error.detail
    return " ".join(
        f"{name}: {' '.join(str(message) for message in messages)}"
        for name, messages in detail.items()
    )
