"""Registering, changing and retiring devices, and where they are in their life."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from devices.enums import DeviceStatus, DeviceType, LifecycleState
from devices.errors import DeviceNotSuspendedError, DeviceSuspendedError
from devices.models import Device
from devices.services import locked
from devices.services.credentials import add_key
from devices.services.leaving import end_work
from devices.services.locks import lock_active_device, lock_device
from devices.status import (
    NEVER_SEEN_REASON,
    DerivedStatus,
)
from homepot.changes import refuse_duplicates, update_row
from homepot.identifiers import make_identifier
from homepot.transactions import retried
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
        audit.insert_and_record(
            device,
            event=AuditEvent.DEVICE_CREATED,
            actor=actor,
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
    changing = lock_active_device(device)
    with refuse_duplicates(
        name=f"The site has another device named {fields.get('name')!r}; choose another name."
    ):
        changes = update_row(changing, fields)
    if changes:
        audit.record(event=AuditEvent.DEVICE_UPDATED, actor=actor, target=changing, changes=changes)
    return changing


@retried
def retire_device(*, device: Device, actor: User | None) -> None:
    """Take a device out of use; its history stays. Raises DeviceRetiredError if it is already."""
    retiring = lock_active_device(device, leaves=True)
    locked.retire([retiring], actor, timezone.now())


@retried
def suspend_device(*, device: Device, actor: User | None) -> Device:
    """Let a device speak no more until it is resumed.

    Raises DeviceSuspendedError and DeviceRetiredError.
    """
    suspending = lock_active_device(device, leaves=True)
    if suspending.lifecycle_state == LifecycleState.SUSPENDED:
        raise DeviceSuspendedError(f"Device {device.device_id} is suspended already.")
    locked.suspend([suspending], actor, timezone.now())
    return suspending


@transaction.atomic
def resume_device(*, device: Device, actor: User | None) -> Device:
    """Let a suspended device check in again; raises DeviceNotSuspendedError."""
    resuming = lock_active_device(device)
    if resuming.lifecycle_state != LifecycleState.SUSPENDED:
        raise DeviceNotSuspendedError(
            f"Device {device.device_id} is {resuming.lifecycle_state}; "
            "only suspended devices can be resumed."
        )
    locked.resume([resuming], actor, timezone.now())
    return resuming


@retried
def re_enrol_device(*, device: Device, actor: User | None) -> tuple[Device, str]:
    """Give the place of `device`, its id and its history, to a replaced machine.

    Ends every earlier key and answers the new one, shown this once. Revives retired devices.
    Raises SiteRetiredError, and IdentifierTakenError when its name has a new owner.
    """
    lock_active_site(device.site)
    reviving = lock_device(device, leaves=True)
    now = timezone.now()
    locked.settle([reviving], now)
    with refuse_duplicates(
        name=f"The site has another device named {reviving.name!r} now; rename that one first."
    ):
        changes = update_row(
            reviving, {"lifecycle_state": LifecycleState.PENDING, "is_active": True}
        )
    # What the machine before it told, and when by its clock, says nothing of this one.
    never = {"last_seen": None, "last_reported_at": None, "last_check_healthy": None}
    update_row(reviving, {**never, "bad_checks": 0})
    unheard = DerivedStatus(DeviceStatus.UNKNOWN, NEVER_SEEN_REASON, None)
    locked.store_statuses([reviving], [unheard], now, maintenance_until=None)
    reviving.credentials.filter(revoked_at=None).update(revoked_at=now)
    new = add_key(reviving)
    changes["key_hint"] = (None, new.hint)
    audit.record(event=AuditEvent.DEVICE_RE_ENROLLED, actor=actor, target=reviving, changes=changes)
    end_work([reviving], "re_enrolled", actor)
    return reviving, new.key


@retried
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
    moving = lock_active_device(device, leaves=True)
    old_site = moving.site
    with refuse_duplicates(
        name=f"Site {site.site_id} has a device named {moving.name!r}; rename one of them."
    ):
        changes = update_row(moving, {"site": site})
    if changes:
        audit.record(
            event=AuditEvent.DEVICE_TRANSFERRED,
            actor=actor,
            target=moving,
            changes={"site": (old_site.site_id, site.site_id)},
        )
        end_work([moving], "transferred", actor)
    return moving


@transaction.atomic
def set_maintenance(*, device: Device, until: datetime | None, actor: User | None) -> Device:
    """Put a device in maintenance until a time, or with None end its maintenance now.

    Raises DeviceRetiredError.
    """
    maintaining = lock_active_device(device)
    locked.maintain([maintaining], until, actor, timezone.now())
    return maintaining
