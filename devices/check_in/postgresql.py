"""Check-ins on PostgreSQL: calls of its function `check_in_1`, together when they come together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from django.conf import settings
from django.db import DatabaseError, OperationalError

from devices.pace import pace
from devices.status import PATIENCE
from homepot.group_commit import GroupCommit
from homepot.statements import fetch_rows

# The parameters of the function that each call has of its own, by name, in its order.
Call = dict[str, Any]
# The fields of a `CheckedIn`. All are null when there is no such caller.
Row = Sequence[Any]

CALLER = {
    "device_id": "text",
    "key_digest": "text",
    "now": "timestamptz",
    "silent_at": "timestamptz",
}
REPORT = {
    "is_check": "boolean",
    "is_healthy": "boolean",
    "response_time_ms": "integer",
    "status_code": "integer",
    "endpoint": "text",
    "response_data": "jsonb",
    "error_message": "text",
    "firmware_version": "text",
    "config_version": "text",
    "reported_at": "timestamptz",
}
TYPES = ", ".join(f"{name} {its_type}" for name, its_type in {**CALLER, **REPORT}.items())
# A group waits for nobody who holds a device's lock, so it can also be part of no deadlock. And
# who has no key of a device locks nothing: the function alone decides whether the key is valid.
# A join would say the same, and take longer to plan where nothing can be prepared.
UNLOCKED = """
CROSS JOIN LATERAL (
    SELECT v.device_id FROM devices v WHERE v.device_id = call.device_id AND v.id = (
        SELECT c.device_id FROM device_credentials c WHERE c.key_digest = call.key_digest
    ) FOR NO KEY UPDATE SKIP LOCKED
) AS unlocked
"""


def _statement(device_id: str, unlocked: str = "") -> str:
    """That calls the function for the devices of the column `device_id`.

    What is called for is known from there: no plan can call the function before it has the lock.
    """
    _, *of_caller = (f"call.{name}" for name in CALLER)
    parameters = [device_id, *of_caller, *["%s"] * 3, *(f"call.{name}" for name in REPORT)]
    return f"""
    SELECT call.ordinality, done.*
    FROM ROWS FROM (json_to_recordset(%s) AS ({TYPES})) WITH ORDINALITY AS call {unlocked}
    CROSS JOIN LATERAL check_in_1({", ".join(parameters)}) AS done
    """  # noqa: S608


CALL_AT_ONCE, CALL_ALONE = _statement("unlocked.device_id", UNLOCKED), _statement("call.device_id")


def check_in(call: Call, *, in_transaction: bool) -> Row:
    """What became of `call`: committed, or `in_transaction` part of what the caller has begun."""
    encoded = orjson.dumps(call)  # here, where it fails nobody else
    return _call_alone(encoded) if in_transaction else _group.do(encoded)


def _call_at_once(calls: Sequence[bytes]) -> list[Row | None]:
    """Of each call what became of it; None: its device is locked, or the key is not its key."""
    try:
        rows = _call(CALL_AT_ONCE, calls)
    except OperationalError:  # who knows what was committed
        raise
    except DatabaseError:
        # Nothing was: whose fault it was will be seen when each is done alone.
        rows = []
    done: list[Row | None] = [None] * len(calls)
    for position, *row in rows:
        done[position - 1] = row
    return done


def _call_alone(call: bytes) -> Row:
    [(_, *row)] = _call(CALL_ALONE, [call])
    return row


def _call(sql: str, calls: Sequence[bytes]) -> list[tuple[Any, ...]]:
    interval = pace.interval_seconds
    return fetch_rows(
        sql,
        [
            (b"[" + b",".join(calls) + b"]").decode(),
            interval,
            PATIENCE * interval,
            settings.BAD_CHECKS_FOR_ERROR,
        ],
    )


_group = GroupCommit(_call_at_once, _call_alone)
