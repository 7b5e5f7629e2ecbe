"""A device says "I am here, and this is how I am": the hot path, once for each engine.

PostgreSQL does all of it in one call of a function, `check_in_1.sql`; SQLite does the same in
one IMMEDIATE transaction, `sqlite.py`. `devices/tests/test_check_in.py` runs one table of cases
over both.

The server's clock rules. A report is late when the device has already sent a newer one: it is
kept and shows that the device lives, but changes no status. A report that was sent before is
not kept again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from django.conf import settings
from django.db import connection, transaction

from devices.check_in import sqlite
from devices.check_in.caller import Caller
from devices.pace import pace
from devices.reports import Report
from devices.status import PATIENCE
from homepot.statements import fetch_rows

NO_REPORT = Report()
# The types of the parameters are the function's.
CALL = (
    "SELECT * FROM check_in_1(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


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
    if connection.vendor != "postgresql":
        with transaction.atomic():
            row = sqlite.check_in(caller, report, now, silent_at)
        return CheckedIn(*row) if row else None
    said, interval_seconds = report or NO_REPORT, pace.interval_seconds
    [row] = fetch_rows(
        CALL,
        (
            caller.device_id,
            caller.key_digest,
            now,
            silent_at,
            interval_seconds,
            PATIENCE * interval_seconds,
            settings.BAD_CHECKS_FOR_ERROR,
            report is not None,
            said.is_healthy,
            said.response_time_ms,
            said.status_code,
            said.endpoint or "",
            None if said.response_data is None else orjson.dumps(said.response_data).decode(),
            said.error_message or "",
            said.firmware_version or "",
            said.config_version or "",
            said.reported_at,
        ),
    )
    return None if row[0] is None else CheckedIn(*row)
