"""Handing work to a device: what waits for it, and of what it is to stop.

Both engines side by side: one statement on PostgreSQL; on SQLite five at most, under its one
write lock. An offer is good for LEASE; a device that does not acknowledge it by then is
offered it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Least

from jobs.enums import ExecutionStatus, JobStatus
from jobs.models import Job, JobExecution
from jobs.services.release import release_job

LEASE = timedelta(seconds=60)
OFFERED_AT_ONCE = 10
# Told until they are confirmed, all of them: one that the agent does not know hides no other.
STOPPED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Command:
    """An execution as its device sees it."""

    command_id: UUID
    command_type: str
    payload: dict[str, Any]
    attempt: int
    lease_until: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Work:
    """What a device is to do, most urgent first, and of what it is to stop."""

    commands: list[Command] = field(default_factory=list)
    cancelled: list[UUID] = field(default_factory=list)


def offer_work(device_pk: int, *, now: datetime) -> Work:
    """Offer up to ten commands to a device: the higher priority first, then the older.

    Each attempt is offered once, however many fetches of one device run at a time.
    """
    offer = _offer_on_postgresql if connection.vendor == "postgresql" else _offer_on_sqlite
    while True:
        work, unreleased = offer(device_pk, now)
        if not unreleased:
            return work
        # No sweep has been here since their time came. Nothing was offered: what they
        # supersede must not be.
        for job_pk in unreleased:
            release_job(job_pk, now=now)


def _command(
    command_id: UUID,
    action: str,
    payload: dict[str, Any],
    config_url: str,
    config_version: str,
    attempt: int,
    lease_until: datetime,
    queued_at: datetime,
) -> Command:
    config = {"config_url": config_url, "config_version": config_version}
    told = {name: value for name, value in config.items() if value}
    return Command(command_id, action, told | payload, attempt, lease_until, queued_at)


POSTGRESQL = """
WITH waiting AS (
    SELECT e.id, e.job_id, e.queued_at, j.status, j.max_attempts
    FROM job_executions e JOIN jobs j ON j.id = e.job_id
    WHERE e.device_id = %(device)s AND e.offer_at <= %(now)s AND e.due_at > %(now)s
      AND e.cancel_requested_at IS NULL AND e.attempt < j.max_attempts
    ORDER BY e.priority DESC, e.id LIMIT %(limit)s
    FOR UPDATE OF e SKIP LOCKED
), offered AS (
    UPDATE job_executions e SET
        status = 'sent', attempt = e.attempt + 1, sent_at = %(now)s, lease_until = %(lease)s,
        offer_at = %(lease)s, updated_at = %(now)s,
        -- After the last attempt, time ends it.
        due_at = CASE WHEN e.attempt + 1 < w.max_attempts THEN e.expires_at
                      ELSE LEAST(%(lease)s, e.expires_at) END
    FROM waiting w
    WHERE w.id = e.id AND NOT EXISTS (SELECT FROM waiting WHERE status = 'pending')
    RETURNING e.*
), sent AS (
    -- Who offers it to another device just now is waited for: that takes no time.
    UPDATE jobs SET status = 'sent', updated_at = %(now)s
    WHERE status = 'queued' AND id IN (SELECT id FROM jobs
        WHERE id IN (SELECT job_id FROM offered) AND status = 'queued'
        ORDER BY id FOR NO KEY UPDATE)
)
SELECT 'command', o.job_id, o.execution_id, j.action, j.payload::text, j.config_url,
    j.config_version, o.attempt, o.lease_until, o.queued_at, o.priority, o.id AS position
FROM offered o JOIN jobs j ON j.id = o.job_id
UNION ALL
SELECT * FROM (
    SELECT 'cancelled', e.job_id, e.execution_id, NULL, NULL, NULL, NULL,
        NULL::integer, NULL::timestamptz, NULL::timestamptz, e.priority, e.id
    FROM job_executions e
    WHERE e.device_id = %(device)s AND e.offer_at <= %(now)s AND e.cancel_requested_at IS NOT NULL
    ORDER BY e.priority DESC, e.id LIMIT %(stops)s) AS stops
UNION ALL
SELECT 'unreleased', w.job_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, w.queued_at, 0, w.id
FROM waiting w WHERE w.status = 'pending'
ORDER BY priority DESC, position
"""


def _offer_on_postgresql(device_pk: int, now: datetime) -> tuple[Work, list[int]]:
    parameters: dict[str, Any] = {
        "device": device_pk,
        "now": now,
        "lease": now + LEASE,
        "limit": OFFERED_AT_ONCE,
        "stops": STOPPED_AT_ONCE,
    }
    with connection.cursor() as cursor:
        cursor.execute(POSTGRESQL, parameters)
        rows = cursor.fetchall()
    work, unreleased = Work(), set()
    for kind, job_pk, execution_id, action, payload, *rest, _, _ in rows:
        if kind == "command":
            command = _command(execution_id, action, orjson.loads(payload), *rest)
            work.commands.append(command)
        elif kind == "cancelled":
            work.cancelled.append(execution_id)
        else:
            unreleased.add((rest[-1], job_pk))
    return work, [job_pk for _, job_pk in sorted(unreleased)]


def _offer_on_sqlite(device_pk: int, now: datetime) -> tuple[Work, list[int]]:
    # Older agents ask every two seconds, mostly for nothing: that takes no write lock.
    if not JobExecution.objects.filter(device=device_pk, offer_at__lte=now).exists():
        return Work(), []
    return _offer_waiting_on_sqlite(device_pk, now)


@transaction.atomic
def _offer_waiting_on_sqlite(device_pk: int, now: datetime) -> tuple[Work, list[int]]:
    told = JobExecution.objects.filter(device=device_pk, offer_at__lte=now).order_by(
        "-priority", "pk"
    )
    stops = told.filter(cancel_requested_at__isnull=False)
    work = Work(cancelled=list(stops.values_list("execution_id", flat=True)[:STOPPED_AT_ONCE]))
    waiting = told.filter(
        cancel_requested_at=None, due_at__gt=now, attempt__lt=F("job__max_attempts")
    )
    rows = list(waiting.select_related("job")[:OFFERED_AT_ONCE])
    unreleased = {
        (row.queued_at, row.job_id) for row in rows if row.job.status == JobStatus.PENDING
    }
    if unreleased:
        return work, [job_pk for _, job_pk in sorted(unreleased)]
    lease_until = now + LEASE
    for row in rows:
        command = _command(
            row.execution_id,
            row.job.action,
            row.job.payload,
            row.job.config_url,
            row.job.config_version,
            row.attempt + 1,
            lease_until,
            row.queued_at,
        )
        work.commands.append(command)
    if rows:
        # After the last attempt, time ends it.
        last = [row.pk for row in rows if row.attempt + 1 >= row.job.max_attempts]
        is_last = When(pk__in=last, then=Least(Value(lease_until), F("expires_at")))
        JobExecution.objects.filter(pk__in=[row.pk for row in rows]).update(
            status=ExecutionStatus.SENT,
            attempt=F("attempt") + 1,
            sent_at=now,
            lease_until=lease_until,
            offer_at=lease_until,
            due_at=Case(is_last, default=F("expires_at")),
            updated_at=now,
        )
        begun = {row.job_id for row in rows if row.job.status == JobStatus.QUEUED}
        if begun:
            Job.objects.filter(pk__in=begun).update(status=JobStatus.SENT, updated_at=now)
    return work, []
