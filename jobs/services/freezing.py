"""Writing a new job with an execution for each of its devices, however many they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connection

from homepot.changes import insert_row, mark_inserted
from homepot.combined import Combined
from homepot.compiled import Question
from homepot.statements import fetch_rows
from jobs.enums import ErrorCode, ExecutionStatus
from jobs.errors import NoTargetError
from jobs.models import Job

# `place` is the one site of all devices, or null.
COUNTED = (
    "SELECT count(*) AS total, count(CASE WHEN is_lacking THEN 1 END) AS lacking, "
    "CASE WHEN min(place) = max(place) THEN min(place) END AS place FROM "
)


def freeze(
    job: Job,
    chosen: Question,
    *,
    now: datetime,
    also: Callable[[Combined], None] | None = None,
) -> Mapping[str, Any] | None:
    """Write `job` with an execution for each of `chosen`, as `Target.chosen` gives them.

    That sets the job's counters and, when it has no site and they are all of one, its site. One
    statement on PostgreSQL, to which `also` may add what is to be done with the job `made`; on
    SQLite three, in the caller's transaction. Returns the job's JSON as it is stored, if that
    statement told. Raises NoTargetError.
    """
    try:
        sql, values = chosen.sql()
    except EmptyResultSet:
        raise _no_target(job) from None
    if connection.vendor == "postgresql":
        return _freeze_at_once(job, sql, values, now, also)
    _freeze_in_steps(job, sql, values, now)
    return None


def _freeze_at_once(
    job: Job,
    sql: str,
    values: Sequence[Any],
    now: datetime,
    also: Callable[[Combined], None] | None,
) -> Mapping[str, Any]:
    combined = Combined()
    # Whoever suspends, retires or moves a device waits, and then finds its execution; or was
    # first, and then the device is not among the chosen. Check-ins do not wait.
    combined.add("chosen", f"{sql} FOR KEY SHARE OF devices", values)
    combined.add("counted", f"{COUNTED} chosen")
    counters = {"total": "total", "failed": "lacking", "open": "total - lacking"}
    combined.insert(
        "made",
        job,
        counters if job.site_id else {**counters, "site_id": "place"},
        source="counted WHERE total > 0",
        returning="id, total, failed, site_id, target, payload",
    )
    combined.add("frozen", *_executions(job, now, job_pk="made.id", source="made, chosen"))
    if also:
        also(combined)
    rows = combined.rows("SELECT id, total, failed, site_id, target, payload FROM made")
    if not rows:
        raise _no_target(job)
    ((pk, total, lacking, site_pk, target, payload),) = rows
    mark_inserted(job, pk)
    _set_counted(job, total, lacking, site_pk)
    return {"target": orjson.Fragment(target), "payload": orjson.Fragment(payload)}


def _freeze_in_steps(job: Job, sql: str, values: Sequence[Any], now: datetime) -> None:
    ((total, lacking, place),) = fetch_rows(f"{COUNTED} ({sql}) AS chosen", values)
    if not total:
        raise _no_target(job)
    _set_counted(job, total, lacking, job.site_id or place)
    insert_row(job)
    insert, filled = _executions(job, now, job_pk=str(job.pk), source=f"({sql}) AS chosen")
    fetch_rows(insert, [*filled, *values])


def _set_counted(job: Job, total: int, lacking: int, site_pk: int | None) -> None:
    job.total, job.failed, job.open = total, lacking, total - lacking
    job.site_id = site_pk


def _executions(job: Job, now: datetime, *, job_pk: str, source: str) -> tuple[str, list[Any]]:
    """The INSERT of an execution for each device in `source`, and its values."""
    at = connection.ops.adapt_datetimefield_value
    queued_at = job.scheduled_at or now
    expires_at = queued_at + timedelta(seconds=job.ttl_seconds)
    is_postgresql = connection.vendor == "postgresql"
    new_uuid = "gen_random_uuid()" if is_postgresql else "lower(hex(randomblob(16)))"
    time = "%s::timestamptz" if is_postgresql else "%s"
    rows: list[tuple[str, str, list[Any]]] = [
        ("execution_id", new_uuid, []),
        ("job_id", job_pk, []),
        ("device_id", "device_pk", []),
        (
            "status",
            "CASE WHEN is_lacking THEN %s ELSE %s END",
            [ExecutionStatus.FAILED.value, ExecutionStatus.QUEUED.value],
        ),
        ("priority", "%s", [int(job.priority)]),
        ("attempt", "0", []),
        ("queued_at", time, [at(queued_at)]),
        ("expires_at", time, [at(expires_at)]),
        ("offer_at", f"CASE WHEN NOT is_lacking THEN {time} END", [at(queued_at)]),
        ("due_at", f"CASE WHEN NOT is_lacking THEN {time} END", [at(expires_at)]),
        ("finished_at", f"CASE WHEN is_lacking THEN {time} END", [at(now)]),
        (
            "error_code",
            "CASE WHEN is_lacking THEN %s ELSE %s END",
            [ErrorCode.PERMISSION_MISSING.value, ""],
        ),
        ("error_message", "''", []),
        ("created_at", time, [at(now)]),
        ("updated_at", time, [at(now)]),
    ]
    columns = ", ".join(column for column, _, _ in rows)
    selected = ", ".join(sql for _, sql, _ in rows)
    values = [value for _, _, values in rows for value in values]
    # Only our own names are formatted into it.
    sql = f"INSERT INTO job_executions ({columns}) SELECT {selected} FROM {source}"  # noqa: S608
    return sql, values


def _no_target(job: Job) -> NoTargetError:
    described = ", ".join(f"{name} {value}" for name, value in job.target.items()) or "all sites"
    return NoTargetError(f"There is no active device for this job ({described}).")
