"""Everything that changes devices and their health."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from devices.check_in import report_parameters, take_in
from devices.enums import DeviceType, LifecycleState
from devices.errors import CheckAlreadyStoredError, DeviceRetiredError
from devices.models import Device, HealthCheck
from devices.pace import pace
from devices.reports import Report
from devices.status import is_service_away
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
def update_device(*, device: Device, actor: User | None, **fields: Any) -> Device:
    """Change those of `fields` that differ.

    Raises IdentifierTakenError when the name is taken at its site, and DeviceRetiredError.
    """
    locked = _lock_active_device(device)
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
    locked = _lock_active_device(device)
    changes = update_row(
        locked,
        {"lifecycle_state": LifecycleState.RETIRED, "is_active": False, "status_due_at": None},
    )
    changes.pop("status_due_at", None)  # follows from the rest
    audit.record(event=AuditEvent.DEVICE_RETIRED, actor=actor, target=locked, changes=changes)


@transaction.atomic
def record_health_check(*, device: Device, report: Report) -> HealthCheck:
    """Store one check of `device`, made now, and bring the device's status in line with it.

    The check is a history of its own and has no audit row beside it. Raises
    DeviceRetiredError, and CheckAlreadyStoredError for a repeated `reported_at`.
    """
    now = timezone.now()
    locked = _lock_active_device(device)
    check = take_in(
        locked,
        report_parameters(report, told=pace.interval, now=now),
        service_was_away=is_service_away(now, pace.interval),
    )
    if check is None:
        raise CheckAlreadyStoredError(
            f"A check of {device.device_id} with this reported_at is stored already."
        )
    return check


def _lock_active_device(device: Device) -> Device:
    """Read `device` again under a lock; raises DeviceRetiredError."""
    # SQLite has no row locks and needs none: its write transactions take turns.
    locked = Device.objects.select_for_update(no_key=True).get(pk=device.pk)
    if not locked.is_active:
        raise DeviceRetiredError(f"Device {device.device_id} is retired and cannot be changed.")
    return locked
