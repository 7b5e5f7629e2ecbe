"""Writing a new job with an execution for each of its devices, however many they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
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

# What only comes to pass later.
TO_COME = {
    **dict.fromkeys(("started_at", "completed_at", "cancel_requested_at", "result"), "NULL"),
    **dict.fromkeys(("completed", "cancelled", "expired", "superseded"), "0"),
    "error_message": "''",
}
COUNTERS = {**TO_COME, "total": "total", "failed": "lacking", "open": "total - lacking"}
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
    combined.insert(
        "made",
        job,
        COUNTERS if job.site_id else {**COUNTERS, "site_id": "place"},
        source="counted WHERE total > 0",
        returning="id, total, failed, site_id, target, payload, priority",
    )
    combined.add("frozen", *_executions(job, now, source="made, chosen"))
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
    made = "(SELECT id, priority FROM jobs WHERE id = %s) AS made"
    insert, times = _executions(job, now, source=f"{made}, ({sql}) AS chosen")
    fetch_rows(insert, [*times, job.pk, *values])


def _set_counted(job: Job, total: int, lacking: int, site_pk: int | None) -> None:
    job.total, job.failed, job.open = total, lacking, total - lacking
    job.site_id = site_pk


def _executions(job: Job, now: datetime, *, source: str) -> tuple[str, list[Any]]:
    """The INSERT of an execution for each device in `source`, in their order, and its values.

    `source` follows the times, and has the job as `made`.
    """
    at = connection.ops.adapt_datetimefield_value
    queued_at = job.scheduled_at or now
    expires_at = queued_at + timedelta(seconds=job.ttl_seconds)
    times = [at(queued_at), at(expires_at), at(now)]
    return f"{_insert_executions(connection.vendor)} {source} ORDER BY device_pk", times


@cache
def _insert_executions(vendor: str) -> str:
    is_postgresql = vendor == "postgresql"
    time = "%s::timestamptz" if is_postgresql else "%s"
    values = {
        "execution_id": "gen_random_uuid()" if is_postgresql else "lower(hex(randomblob(16)))",
        "job_id": "made.id",
        "device_id": "device_pk",
        "status": _if_lacking(_quoted(ExecutionStatus.FAILED), _quoted(ExecutionStatus.QUEUED)),
        "priority": "made.priority",
        "attempt": "0",
        "queued_at": "times.queued_at",
        "expires_at": "times.expires_at",
        "offer_at": _if_lacking("NULL", "times.queued_at"),
        "due_at": _if_lacking("NULL", "times.expires_at"),
        "finished_at": _if_lacking("times.now", "NULL"),
        "error_code": _if_lacking(_quoted(ErrorCode.PERMISSION_MISSING), "''"),
        "error_message": "''",
        "created_at": "times.now",
        "updated_at": "times.now",
    }
    # Only our own names are formatted into it.
    return (
        f"INSERT INTO job_executions ({', '.join(values)}) SELECT {', '.join(values.values())} "  # noqa: S608
        f"FROM (SELECT {time} AS queued_at, {time} AS expires_at, {time} AS now) AS times,"
    )


def _if_lacking(then: str, otherwise: str) -> str:
    return f"CASE WHEN is_lacking THEN {then} ELSE {otherwise} END"


def _quoted(word: str) -> str:
    return f"'{word}'"


def _no_target(job: Job) -> NoTargetError:
    described = ", ".join(f"{name} {value}" for name, value in job.target.items()) or "all sites"
    return NoTargetError(f"There is no active device for this job ({described}).")
