"""Creating jobs: their devices are frozen in the same transaction."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F, Max, Min, QuerySet
from django.utils import timezone

from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from devices.models import Device
from devices.querysets import DeviceQuerySet
from homepot.changes import insert_row
from homepot.identifiers import make_identifier
from homepot.transactions import retried
from jobs.configuration import refuse_empty_configuration
from jobs.enums import (
    NEEDED_PERMISSION,
    RETRYABLE,
    ErrorCode,
    ExecutionStatus,
    JobAction,
    JobStatus,
)
from jobs.errors import JobNotEndedError, NoTargetError, NothingToRetryError
from jobs.models import Job, JobExecution
from jobs.services.deadlines import end_due_executions
from jobs.services.outcomes import move_job
from jobs.services.release import begin_release
from jobs.targets import Target, lacks_permission
from jobs.words import job_sentence
from sites.models import Site

# What a retry does as the job before it did.
RETRIED_FIELDS = (
    "device",
    "segment",
    "action",
    "description",
    "priority",
    "payload",
    "config_url",
    "config_version",
    "ttl_seconds",
    "timeout_seconds",
    "max_attempts",
)


@retried
def create_job(
    *,
    target: Target,
    actor: User | None,
    devices: DeviceQuerySet | None = None,
    scheduled_at: datetime | None = None,
    **fields: Any,
) -> Job:
    """Make a job for the active devices of `target` that `actor` may know of.

    `devices`, when given, are what `target` says in words only: a selection in the admin.
    Raises NoTargetError when there is none, and ValidationError for an update without a
    configuration.
    """
    refuse_empty_configuration(fields["action"], fields)
    chosen = target.devices(actor) if devices is None else devices
    job = Job(
        site=target.site or (target.device.site if target.device else None),
        device=target.device,
        segment=target.segment,
        target=target.as_json(),
        created_by=actor,
        scheduled_at=scheduled_at,
        **fields,
    )
    _create(job, chosen)
    audit.record(
        event=AuditEvent.JOB_CREATED,
        actor=actor,
        target=job,
        description=job_sentence(job),
        changes={name: (None, value) for name, value in fields.items()},
        metadata={"target": job.target, "total_devices": job.total},
    )
    if not job.open:
        move_job(job, Counter(), now=timezone.now(), actor=actor)
    return job


def retry_job(*, job: Job, actor: User | None) -> Job:
    """Make a new job of what `job` did for the devices that failed or never began.

    Those of them that `actor` may know of. It takes the place of no other job. Raises
    JobNotEndedError and NothingToRetryError.
    """
    # What readers saw end in time has ended, whether or not a sweep has been here.
    while end_due_executions(timezone.now(), job=job):
        pass
    return _retry(Job.objects.get(pk=job.pk), actor)


@retried
def _retry(job: Job, actor: User | None) -> Job:
    if job.completed_at is None:
        raise JobNotEndedError(
            f"Job {job.job_id} is {job.status}; it can be retried once it has ended."
        )
    if job.action == JobAction.DEVICE_TASK:
        raise NothingToRetryError(f"Job {job.job_id} was its device's own; only that begins it.")
    devices = (
        Target()
        .devices(actor)
        .filter(executions__job=job, executions__status__in=sorted(RETRYABLE))
    )
    new = Job(
        target={"retry_of": job.job_id},
        retry_of=job,
        created_by=actor,
        **{name: getattr(job, name) for name in RETRIED_FIELDS},
    )
    try:
        _create(new, devices)
    except NoTargetError:
        raise NothingToRetryError(
            f"No active device of job {job.job_id} failed or let it expire."
        ) from None
    audit.record(
        event=AuditEvent.JOB_RETRIED,
        actor=actor,
        target=new,
        description=f"{job_sentence(new)}, that failed in {job.job_id}",
        metadata={"retry_of": job.job_id, "total_devices": new.total},
    )
    if not new.open:
        move_job(new, Counter(), now=timezone.now(), actor=actor)
    return new


def _create(job: Job, devices: DeviceQuerySet) -> None:
    """Save `job` with an execution for each of `devices`; raises NoTargetError."""
    now = timezone.now()
    if job.scheduled_at is not None and job.scheduled_at <= now:
        job.scheduled_at = None
    is_ahead = job.scheduled_at is not None
    queued_at = job.scheduled_at or now
    job.job_id = make_identifier("job")
    job.status = JobStatus.PENDING if is_ahead else JobStatus.QUEUED
    job.released_at = None if is_ahead else now
    insert_row(job)
    total = _freeze(job, devices, now=now, queued_at=queued_at)
    if not total:
        raise NoTargetError(f"There is no active device for this job ({_described(job)}).")
    lacking = 0
    if NEEDED_PERMISSION.get(JobAction(job.action)):
        lacking = JobExecution.objects.filter(job=job, status=ExecutionStatus.FAILED).count()
    job.total, job.failed, job.open = total, lacking, total - lacking
    if not is_ahead:
        begin_release(job, now=now, actor=job.created_by)
    if job.site is None:
        job.site = _only_site(job)
    job.save(update_fields=["total", "failed", "open", "site"])


def _only_site(job: Job) -> Site | None:
    """The site of all its devices, however they were chosen; None: there are several."""
    sites = Device.objects.filter(executions__job=job).aggregate(
        first=Min("site"), last=Max("site")
    )
    return Site.objects.get(pk=sites["first"]) if sites["first"] == sites["last"] else None


def _described(job: Job) -> str:
    return ", ".join(f"{name} {value}" for name, value in job.target.items()) or "all sites"


def _freeze(job: Job, devices: DeviceQuerySet, *, now: datetime, queued_at: datetime) -> int:
    """One statement, whatever the number of devices; returns how many there are."""
    chosen: QuerySet[Any, Any] = (
        devices.order_by("pk")
        .annotate(target=F("pk"), is_lacking=lacks_permission(job.action))
        .values("target", "is_lacking")
    )
    chosen_sql, chosen_params = chosen.query.sql_with_params()
    is_postgresql = connection.vendor == "postgresql"
    if is_postgresql:
        # Whoever suspends, retires or moves a device waits, and then finds its execution; or
        # was first, and then the device is not among the chosen. Check-ins do not wait.
        chosen_sql += " FOR KEY SHARE OF devices"
    new_uuid = "gen_random_uuid()" if is_postgresql else "lower(hex(randomblob(16)))"
    at = connection.ops.adapt_datetimefield_value
    expires_at = queued_at + timedelta(seconds=job.ttl_seconds)
    rows: list[tuple[str, str, list[Any]]] = [
        ("execution_id", new_uuid, []),
        ("job_id", "%s", [job.pk]),
        ("device_id", "target", []),
        (
            "status",
            "CASE WHEN is_lacking THEN %s ELSE %s END",
            [ExecutionStatus.FAILED.value, ExecutionStatus.QUEUED.value],
        ),
        ("priority", "%s", [int(job.priority)]),
        ("attempt", "0", []),
        ("queued_at", "%s", [at(queued_at)]),
        ("expires_at", "%s", [at(expires_at)]),
        ("offer_at", "CASE WHEN NOT is_lacking THEN %s END", [at(queued_at)]),
        ("due_at", "CASE WHEN NOT is_lacking THEN %s END", [at(expires_at)]),
        ("finished_at", "CASE WHEN is_lacking THEN %s END", [at(now)]),
        (
            "error_code",
            "CASE WHEN is_lacking THEN %s ELSE %s END",
            [ErrorCode.PERMISSION_MISSING.value, ""],
        ),
        ("error_message", "%s", [""]),
        ("created_at", "%s", [at(now)]),
        ("updated_at", "%s", [at(now)]),
    ]
    columns = ", ".join(column for column, _, _ in rows)
    values = ", ".join(value for _, value, _ in rows)
    params = [param for _, _, params in rows for param in params]
    with connection.cursor() as cursor:
        cursor.execute(
            # Only our own names are formatted into it.
            f"INSERT INTO job_executions ({columns}) "  # noqa: S608
            f"SELECT {values} FROM ({chosen_sql}) AS chosen",
            [*params, *chosen_params],
        )
        return cursor.rowcount
