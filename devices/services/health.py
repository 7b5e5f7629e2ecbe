"""Checks that staff and programs report for a device."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from devices.advance import Moment
from devices.errors import CheckAlreadyStoredError
from devices.models import Device, HealthCheck
from devices.pace import pace
from devices.reports import Report
from devices.services.locks import lock_active_device
from devices.status import is_service_away
from devices.taking_in import take_in


@transaction.atomic
def record_health_check(*, device: Device, report: Report) -> HealthCheck:
    """Store one check of `device`, made now, and bring the device's status in line with it.

    The check is a history of its own and has no audit row beside it. Raises
    DeviceRetiredError, and CheckAlreadyStoredError for a repeated `reported_at`.
    """
    now = timezone.now()
    locked = lock_active_device(device)
    check = take_in(
        locked,
        report,
        Moment(now=now, silent_at=now + pace.patience(pace.interval)),
        service_was_away=is_service_away(now, pace.interval),
    )
    if check is None:
        raise CheckAlreadyStoredError(
            f"A check of {device.device_id} with this reported_at is stored already."
        )
    return check
