"""A database with many rows of hard values, made fast and the same each time."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import models

from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.models import Device, HealthCheck
from sites.models import Site

DEVICES = 1000
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
EXTREME_TIMES = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]
# Some of every plane of Unicode that has characters, and what a line is made of.
TEXTS = [
    "",
    "timeout after 30 s",
    "line\nbreak, tab\t, \\backslash\\ and \\N",
    "caf\u00e9 \u4e2d\u6587 \u05e9\u05dc\u05d5\u05dd \U0001f600 \U00020000 \U00030000 \U000e0001 "
    "\U000f0000 \U0010fffd",
]


def fill_sqlite(path: Path, *, health_checks: int, audit_logs: int) -> None:
    """Put so many rows, and the site and devices they need, into an empty migrated file."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")
    with database:
        _insert(database, Site, [{"id": 1, "site_id": "site-001", "name": "Site"}])
        _insert(
            database,
            Device,
            (
                {"id": n, "site_id": 1, "device_id": f"till-{n}", "name": f"Till {n}"}
                | {"lifecycle_state": "active"}
                for n in range(1, DEVICES + 1)
            ),
        )
        _insert(database, HealthCheck, map(_health_check, range(1, health_checks + 1)))
        _insert(database, AuditLog, map(_audit_log, range(1, audit_logs + 1)))
    database.close()


def _insert(database: sqlite3.Connection, model: Any, rows: Iterable[dict[str, Any]]) -> None:
    fields = model._meta.local_concrete_fields
    names = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join("?" * len(fields))
    defaults = {field.column: _stored(field, field.get_default()) for field in fields}
    for name in ("created_at", "updated_at", "status_since"):
        if name in defaults:
            defaults[name] = str(MOMENT.replace(tzinfo=None))
    database.executemany(
        f"INSERT INTO {model._meta.db_table} ({names}) VALUES ({marks})",
        ([*(defaults | row).values()] for row in rows),
    )


def _stored(field: Any, value: Any) -> Any:
    return json.dumps(value) if isinstance(field, models.JSONField) and value is not None else value


def _time(second: int) -> str:
    return str((MOMENT + timedelta(seconds=second, microseconds=second % 7)).replace(tzinfo=None))


def _hard_values(number: int) -> dict[str, Any]:
    return {"sum": 0.1 + 0.2, "most": 2**63 - 1, "text": TEXTS[number // 10 % 4], "none": None}


def _health_check(number: int) -> dict[str, Any]:
    chance = random.Random(number)
    data: dict[str, Any] = {
        "cpu_usage": round(chance.random() * 100, 1),
        "memory_usage": round(chance.random() * 100, 1),
        "disk_usage": number % 100,
        "uptime_seconds": number,
    }
    if number % 10 == 0:
        data |= _hard_values(number)
    is_healthy = number % 20 > 0
    extreme = EXTREME_TIMES[number % 2] if number % 1000 < 2 else None
    return {
        "id": number,
        "device_id": 1 + number % DEVICES,
        "is_healthy": is_healthy,
        "response_time_ms": number % 500 if number % 7 else None,
        "status_code": 200 if is_healthy else 503,
        "endpoint": "/health",
        "response_data": json.dumps(data) if number % 50 else None,
        "error_message": "" if is_healthy else TEXTS[number // 20 % 4],
        "checked_at": str(extreme.replace(tzinfo=None)) if extreme else _time(number),
        "reported_at": _time(number) if number % 2 else None,
    }


def _audit_log(number: int) -> dict[str, Any]:
    old, new = {"firmware_version": "1.4.2"}, {"firmware_version": "1.5.0"}
    is_hard = number % 10 == 0
    return {
        "id": number,
        "event_type": AuditEvent.DEVICE_UPDATED,
        "description": TEXTS[number // 10 % 4] if is_hard else "",
        "actor_kind": "user",
        "actor_label": f"operator-{number % 5}",
        "device_id": 1 + number % DEVICES,
        "site_id": 1,
        "target_type": "device",
        "target_label": f"till-{1 + number % DEVICES}",
        "old_values": json.dumps(_hard_values(number) if is_hard else old),
        "new_values": json.dumps(new),
        "request_id": f"{number:032x}",
        "ip_address": "10.0.0.1",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "created_at": _time(number),
    }
