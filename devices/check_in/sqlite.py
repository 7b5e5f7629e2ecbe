"""The function of PostgreSQL, `check_in_1.sql`, step by step, under SQLite's one write lock."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from devices.advance import Moment
from devices.check_in.caller import Caller, note_key_use, valid_keys
from devices.enums import SPEAKING, LifecycleState
from devices.pace import pace
from devices.reports import Report
from devices.status import service_was_away
from devices.taking_in import take_in

# Here and in the function alone, devices know of a table of jobs.
HAS_WORK = """
EXISTS (SELECT 1 FROM job_executions e
        WHERE e.device_id = device_credentials.device_id AND e.offer_at <= %s)
"""


def check_in(
    caller: Caller, report: Report | None, now: datetime, silent_at: datetime
) -> tuple[str, str | None, int, bool] | None:
    """The fields of a `CheckedIn`; None: unknown id or wrong key."""
    at = connection.ops.adapt_datetimefield_value
    credential = (
        valid_keys(caller, now)
        .select_related("device")
        .annotate(
            service_was_away=service_was_away(now, pace.interval),
            has_work=RawSQL(HAS_WORK, [at(now)], BooleanField()),  # noqa: S611
        )
        .first()
    )
    if credential is None:
        return None
    device = credential.device
    lifecycle_state = device.lifecycle_state
    if lifecycle_state not in SPEAKING:
        return lifecycle_state, None, device.pk, False
    device.lifecycle_state = LifecycleState.ACTIVE
    moment = Moment(now=now, silent_at=silent_at)
    take_in(device, report, moment, service_was_away=credential.service_was_away)
    note_key_use(credential, now)
    has_work = report is not None and credential.has_work
    return lifecycle_state, device.status, device.pk, has_work
