"""What is done to devices that the caller has locked, be it one or many.

Each takes a number of statements that does not grow with the devices, but for the jobs of
which those who leave had work open. Each device gets an audit row of its own. The caller has
made sure that the state of each allows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Coalesce, Least

from accounts.keys import DEVICE_KEY_PREFIX, make_key
from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from devices.due import MOVED_COLUMNS, due_devices, store_due
from devices.enums import DeviceStatus, LifecycleState
from devices.models import Device, DeviceCredential, StatusChange
from devices.pace import pace
from devices.services.leaving import end_work
from devices.status import DerivedStatus, derive_status, is_service_away
from homepot.bulk import insert_rows, update_rows

Changes = Mapping[str, tuple[Any, Any]]


def suspend(devices: Sequence[Device], actor: User | None, now: datetime) -> None:
    changes = _set(devices, now, lifecycle_state=LifecycleState.SUSPENDED)
    audit.record_many(event=AuditEvent.DEVICE_SUSPENDED, actor=actor, targets=changes)
    end_work(devices, "suspended", actor)


def resume(devices: Sequence[Device], actor: User | None, now: datetime) -> None:
    seen = [device for device in devices if device.last_seen]
    unseen = [device for device in devices if not device.last_seen]
    changes = _set(seen, now, lifecycle_state=LifecycleState.ACTIVE)
    changes += _set(unseen, now, lifecycle_state=LifecycleState.PENDING)
    audit.record_many(event=AuditEvent.DEVICE_RESUMED, actor=actor, targets=changes)


def retire(devices: Sequence[Device], actor: User | None, now: datetime) -> None:
    settle(devices, now)
    changes = _set(devices, now, lifecycle_state=LifecycleState.RETIRED, is_active=False)
    # Follows from the rest, and is no news.
    _set(devices, now, status_due_at=None, sweep_at=None)
    audit.record_many(event=AuditEvent.DEVICE_RETIRED, actor=actor, targets=changes)
    end_work(devices, "retired", actor)


def maintain(
    devices: Sequence[Device], until: datetime | None, actor: User | None, now: datetime
) -> list[Device]:
    """Those that are not in maintenance until then already, which alone change."""
    if until is not None and until <= now:
        until = None
    changing = [device for device in devices if _maintained_until(device, now) != until]
    if not changing:
        return []
    settle(changing, now)
    is_away = is_service_away(now, pace.interval)
    patience = pace.patience(pace.interval)
    derived = []
    for device in changing:
        silent_at = device.last_seen + patience if device.last_seen else None
        if silent_at and is_away:
            silent_at = now + patience  # it had no chance to be heard
        derived.append(
            derive_status(
                last_seen=device.last_seen,
                silent_at=silent_at,
                bad_checks=device.bad_checks,
                bad_checks_for_error=settings.BAD_CHECKS_FOR_ERROR,
                error_message="",
                maintenance_until=until,
                now=now,
            )
        )
    changes = [
        (device, {"maintenance_until": (device.maintenance_until, until)}) for device in changing
    ]
    store_statuses(changing, derived, now, maintenance_until=until)
    event = AuditEvent.MAINTENANCE_STARTED if until else AuditEvent.MAINTENANCE_ENDED
    audit.record_many(event=event, actor=actor, targets=changes)
    return changing


def rotate_keys(
    devices: Sequence[Device], actor: User | None, now: datetime
) -> list[tuple[Device, str]]:
    """Each with its new key. What is in use stays valid for a while, what was never used ends."""
    overlap_ends = now + timedelta(hours=settings.KEY_OVERLAP_HOURS)
    valid = DeviceCredential.objects.filter(device__in=_pks(devices), revoked_at=None)
    hints: defaultdict[int, list[str]] = defaultdict(list)
    for credential in valid.order_by("hint"):
        hints[credential.device_id].append(credential.hint)
    valid.filter(last_used_at=None).update(revoked_at=now)
    valid.exclude(last_used_at=None).update(
        expires_at=Least(Coalesce(F("expires_at"), overlap_ends), overlap_ends)
    )
    keys = [(device, make_key(DEVICE_KEY_PREFIX)) for device in devices]
    insert_rows(
        DeviceCredential,
        ("device", "key_digest", "hint", "created_at"),
        [(device, new.digest, new.hint, now) for device, new in keys],
    )
    changes = [
        (device, {"key_hints": (hints[device.pk], [*hints[device.pk], new.hint])})
        for device, new in keys
    ]
    audit.record_many(event=AuditEvent.DEVICE_KEY_CREATED, actor=actor, targets=changes)
    return [(device, new.key) for device, new in keys]


def settle(devices: Sequence[Device], now: datetime) -> None:
    """Store what time alone has changed of them first, so that it is in their history."""
    flipped, _ = store_due(due_devices(now).filter(pk__in=_pks(devices)), now)
    if flipped:
        stored = Device.objects.only(*MOVED_COLUMNS).in_bulk(_pks(devices))
        for device in devices:
            for column in MOVED_COLUMNS:
                setattr(device, column, getattr(stored[device.pk], column))


def store_statuses(
    devices: Sequence[Device],
    derived: Sequence[DerivedStatus],
    now: datetime,
    *,
    maintenance_until: datetime | None,
) -> None:
    """Store the status of each, and the end of its maintenance, with its flip if it is one."""
    flips = []
    for device, new in zip(devices, derived, strict=True):
        if new.status != device.status:
            flips.append((device, DeviceStatus(device.status), new.status, new.reason, now))
            device.status_since = now
        device.status, device.status_reason = new.status, new.reason
        device.status_due_at = device.sweep_at = new.due_at
        device.maintenance_until = maintenance_until
        device.updated_at = now
    columns = ("maintenance_until", *MOVED_COLUMNS, "updated_at")
    rows = [(device.pk, *(getattr(device, column) for column in columns)) for device in devices]
    update_rows(Device, columns, rows)
    if flips:
        insert_rows(StatusChange, ("device", "old_status", "new_status", "reason", "at"), flips)


def _maintained_until(device: Device, now: datetime) -> datetime | None:
    until = device.maintenance_until
    return until if until and until > now else None


def _set(devices: Sequence[Device], now: datetime, **values: Any) -> list[tuple[Device, Changes]]:
    """Give all of them the same `values`; returns what changed of each."""
    changes: list[tuple[Device, Changes]] = [
        (
            device,
            {
                name: (getattr(device, name), value)
                for name, value in values.items()
                if getattr(device, name) != value
            },
        )
        for device in devices
    ]
    if devices:
        Device.objects.filter(pk__in=_pks(devices)).update(**values, updated_at=now)
    for device in devices:
        for name, value in values.items():
            setattr(device, name, value)
    return changes


def _pks(devices: Sequence[Device]) -> list[int]:
    return [device.pk for device in devices]
