"""Registering, changing and retiring devices, and where they are in their life."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from devices.due import settle
from devices.enums import DeviceStatus, DeviceType, LifecycleState
from devices.errors import DeviceNotSuspendedError, DeviceSuspendedError
from devices.models import Device, StatusChange
from devices.pace import pace
from devices.services.credentials import add_key
from devices.services.leaving import end_work
from devices.services.locks import lock_active_device, lock_device
from devices.status import (
    NEVER_SEEN_REASON,
    DerivedStatus,
    derive_status,
    is_service_away,
)
from homepot.changes import refuse_duplicates, update_row
from homepot.identifiers import make_identifier
from sites.models import Site
from sites.services import lock_active_site


@transaction.atomic
def create_device(
    *, site: Site, actor: User | None, device_id: str | None = None, **fields: Any
) -> Device:
    """Register a device at `site`; without `device_id` it gets one that begins with its type.

    It is pending until it speaks. Raises IdentifierTakenError when `device_id` is taken, or
    the name at this site, and SiteRetiredError.
    """
    site = lock_active_site(site)
    device = Device(site=site, **fields)
    prefix = str(DeviceType(device.device_type)).replace("_", "-")
    device.device_id = device_id or make_identifier(prefix)
    with refuse_duplicates(
        device_id=f"The device id {device.device_id} is taken; choose another.",
        name=f"Site {site.site_id} has a device named {device.name!r}; choose another name.",
    ):
        device.save(force_insert=True)
    audit.record(
        event=AuditEvent.DEVICE_CREATED,
        actor=actor,
        target=device,
        changes={name: (None, value) for name, value in fields.items()},
    )
    return device


@transaction.atomic
def register_device(
    *, site: Site, actor: User | None, device_id: str | None = None, **fields: Any
) -> tuple[Device, str]:
    """`create_device`, and the device's first key, which is shown this once."""
    device = create_device(site=site, actor=actor, device_id=device_id, **fields)
    return device, add_key(device).key


@transaction.atomic
def update_device(*, device: Device, actor: User | None, **fields: Any) -> Device:
    """Change those of `fields` that differ.

    Raises IdentifierTakenError when the name is taken at its site, and DeviceRetiredError.
    """
    locked = lock_active_device(device)
    with refuse_duplicates(
        name=f"The site has another device named {fields.get('name')!r}; choose another name."
    ):
        changes = update_row(locked, fields)
    if changes:
        audit.record(event=AuditEvent.DEVICE_UPDATED, actor=actor, target=locked, changes=changes)
    return locked


@transaction.atomic
def retire_device(*, device: Device, actor: User | None) -> None:
    """Take a device out of use; its history stays. Raises DeviceRetiredError if it is already."""
    locked = lock_active_device(device, leaves=True)
    settle(locked, timezone.now())
    changes = update_row(
        locked,
        {"lifecycle_state": LifecycleState.RETIRED, "is_active": False, "status_due_at": None},
    )
    changes.pop("status_due_at", None)  # follows from the rest
    audit.record(event=AuditEvent.DEVICE_RETIRED, actor=actor, target=locked, changes=changes)
    end_work(locked, "retired", actor)


@transaction.atomic
def suspend_device(*, device: Device, actor: User | None) -> Device:
    """Let a device speak no more until it is resumed.

    Raises DeviceSuspendedError and DeviceRetiredError.
    """
    locked = lock_active_device(device, leaves=True)
    if locked.lifecycle_state == LifecycleState.SUSPENDED:
        raise DeviceSuspendedError(f"Device {device.device_id} is suspended already.")
    changes = update_row(locked, {"lifecycle_state": LifecycleState.SUSPENDED})
    audit.record(event=AuditEvent.DEVICE_SUSPENDED, actor=actor, target=locked, changes=changes)
    end_work(locked, "suspended", actor)
    return locked


@transaction.atomic
def resume_device(*, device: Device, actor: User | None) -> Device:
    """Let a suspended device check in again; raises DeviceNotSuspendedError."""
    locked = lock_active_device(device)
    if locked.lifecycle_state != LifecycleState.SUSPENDED:
        raise DeviceNotSuspendedError(
            f"Device {device.device_id} is {locked.lifecycle_state}; "
            "only suspended devices can be resumed."
        )
    state = LifecycleState.ACTIVE if locked.last_seen else LifecycleState.PENDING
    changes = update_row(locked, {"lifecycle_state": state})
    audit.record(event=AuditEvent.DEVICE_RESUMED, actor=actor, target=locked, changes=changes)
    return locked


@transaction.atomic
def re_enrol_device(*, device: Device, actor: User | None) -> tuple[Device, str]:
    """Give the place of `device`, its id and its history, to a replaced machine.

    Ends every earlier key and answers the new one, shown this once. Revives retired devices.
    Raises SiteRetiredError, and IdentifierTakenError when its name has a new owner.
    """
    lock_active_site(device.site)
    locked = lock_device(device, leaves=True)
    now = timezone.now()
    settle(locked, now)
    with refuse_duplicates(
        name=f"The site has another device named {locked.name!r} now; rename that one first."
    ):
        changes = update_row(locked, {"lifecycle_state": LifecycleState.PENDING, "is_active": True})
    # What the machine before it told, and when by its clock, says nothing of this one.
    never = {"last_seen": None, "last_reported_at": None, "last_check_healthy": None}
    update_row(locked, {**never, "bad_checks": 0})
    unheard = DerivedStatus(DeviceStatus.UNKNOWN, NEVER_SEEN_REASON, None)
    _store_status(locked, unheard, now, maintenance_until=None)
    locked.credentials.filter(revoked_at=None).update(revoked_at=now)
    new = add_key(locked)
    changes["key_hint"] = (None, new.hint)
    audit.record(event=AuditEvent.DEVICE_RE_ENROLLED, actor=actor, target=locked, changes=changes)
    end_work(locked, "re_enrolled", actor)
    return locked, new.key


@transaction.atomic
def transfer_device(*, device: Device, site: Site, actor: User | None) -> Device:
    """Move a device to another site; its keys and its history go with it.

    Raises SiteRetiredError, DeviceRetiredError, and IdentifierTakenError when the other site
    has a device of that name.
    """
    # Sites before devices, sites by id: the order in which everything locks.
    for place in sorted({device.site_id, site.pk}):
        if place == site.pk:
            site = lock_active_site(site)
        else:
            Site.objects.select_for_update(no_key=True).get(pk=place)
    locked = lock_active_device(device, leaves=True)
    old_site = locked.site
    with refuse_duplicates(
        name=f"Site {site.site_id} has a device named {locked.name!r}; rename one of them."
    ):
        changes = update_row(locked, {"site": site})
    if changes:
        audit.record(
            event=AuditEvent.DEVICE_TRANSFERRED,
            actor=actor,
            target=locked,
            changes={"site": (old_site.site_id, site.site_id)},
        )
        end_work(locked, "transferred", actor)
    return locked


@transaction.atomic
def set_maintenance(*, device: Device, until: datetime | None, actor: User | None) -> Device:
    """Put a device in maintenance until a time, or with None end its maintenance now.

    Raises DeviceRetiredError.
    """
    locked = lock_active_device(device)
    now = timezone.now()
    if until is not None and until <= now:
        until = None
    was = locked.maintenance_until
    if (was if was and was > now else None) == until:
        return locked
    settle(locked, now)
    patience = pace.patience(pace.interval)
    silent_at = locked.last_seen + patience if locked.last_seen else None
    if silent_at and is_service_away(now, pace.interval):
        silent_at = now + patience  # it had no chance to be heard
    derived = derive_status(
        last_seen=locked.last_seen,
        silent_at=silent_at,
        bad_checks=locked.bad_checks,
        bad_checks_for_error=settings.BAD_CHECKS_FOR_ERROR,
        error_message="",
        maintenance_until=until,
        now=now,
    )
    _store_status(locked, derived, now, maintenance_until=until)
    audit.record(
        event=AuditEvent.MAINTENANCE_STARTED if until else AuditEvent.MAINTENANCE_ENDED,
        actor=actor,
        target=locked,
        changes={"maintenance_until": (was, until)},
    )
    return locked


def _store_status(
    device: Device, derived: DerivedStatus, now: datetime, *, maintenance_until: datetime | None
) -> None:
    old_status = DeviceStatus(device.status)
    flips = derived.status != old_status
    update_row(
        device,
        {
            "maintenance_until": maintenance_until,
            "status": derived.status,
            "status_reason": derived.reason,
            "status_since": now if flips else device.status_since,
            "status_due_at": derived.due_at,
        },
    )
    if flips:
        StatusChange.objects.create(
            device=device,
            old_status=old_status,
            new_status=derived.status,
            reason=derived.reason,
            at=now,
        )
