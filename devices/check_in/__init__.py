"""A device says "I am here, and this is how I am": the hot path, once for each engine.

PostgreSQL does all of it in one call of a function, `check_in_1.sql`; `postgresql.py` makes one
statement of the calls that come at the same moment. SQLite does the same in one IMMEDIATE
transaction, `sqlite.py`. `devices/tests/test_check_in.py` runs one table of cases over all of it.

The server's clock rules. A report is late when the device has already sent a newer one: it is
kept and shows that the device lives, but changes no status. A report that was sent before is
not kept again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connections, transaction

from devices.check_in import postgresql, sqlite
from devices.check_in.caller import Caller
from devices.pace import pace
from devices.reports import Report

NO_REPORT = Report()


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """What became of a check-in. `status` is None when the device may not speak.

    `has_work` tells whether the device is to be told of work.
    """

    lifecycle_state: str
    status: str | None
    device_pk: int
    has_work: bool


def check_in(
    caller: Caller, report: Report | None, *, told: timedelta, now: datetime
) -> CheckedIn | None:
    """Take in a check-in, or with `report` None a heartbeat, which keeps no health check.

    `told` is after how long the device was told to come back. None: unknown id or wrong key.
    """
    silent_at = now + pace.patience(told)
    database = connections["default"]  # each look at `connection` finds it anew
    if database.vendor != "postgresql":
        with transaction.atomic():
            found = sqlite.check_in(caller, report, now, silent_at)
        return CheckedIn(*found) if found else None
    said = report or NO_REPORT
    row = postgresql.check_in(
        {
            "device_id": caller.device_id,
            "key_digest": caller.key_digest,
            "now": now,
            "silent_at": silent_at,
            "is_check": report is not None,
            "is_healthy": said.is_healthy,
            "response_time_ms": said.response_time_ms,
            "status_code": said.status_code,
            "endpoint": said.endpoint or "",
            "response_data": said.response_data,
            "error_message": said.error_message or "",
            "firmware_version": said.firmware_version or "",
            "config_version": said.config_version or "",
            "reported_at": said.reported_at,
        },
        in_transaction=database.in_atomic_block,
    )
    return None if row[0] is None else CheckedIn(*row)
