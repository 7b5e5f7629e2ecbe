"""Creating jobs: their devices are frozen in the same transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.models import User
from accounts.presumed import NotConfirmed, PresumedUser
from audit import services as audit
from audit.enums import AuditEvent
from devices.querysets import DeviceQuerySet
from homepot.combined import Combined
from homepot.compiled import Question
from homepot.identifiers import make_identifier
from homepot.objects import known_object, new_object
from homepot.transactions import again_after_clash, in_one_statement, retried
from jobs.configuration import refuse_empty_configuration
from jobs.enums import (
    NEEDED_PERMISSION,
    RETRYABLE,
    JobAction,
    JobStatus,
)
from jobs.errors import JobNotEndedError, NoTargetError, NothingToRetryError
from jobs.models import Job
from jobs.services.deadlines import end_due_executions
from jobs.services.freezing import freeze
from jobs.services.outcomes import move_job
from jobs.services.release import begin_release
from jobs.targets import Target, work_of
from jobs.words import SITE_AND_DEVICES_TEXT, job_sentence, job_sentence_start
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
    new = partial(_new_job, target, actor, scheduled_at=scheduled_at, **fields)
    chosen = target.work(actor, fields["action"], devices)
    job = new()
    if not _is_one_statement(job):
        return _create_in_steps(new, chosen, _told(actor, fields))
    _create_at_once(job, chosen, _told(actor, fields))
    return job


def create_usual_job(*, site_id: str, actor: PresumedUser, **fields: Any) -> Job:
    """What `create_job` makes for the whole site `site_id`, of fields that `usual_job` knows.

    One statement of PostgreSQL's finds the site, asks about `actor` and writes. Raises
    NotConfirmed, with nothing written, when no device came: `create_job` says why.
    """
    target = Target(site_id=site_id)
    job = _new_job(target, actor, **fields)
    try:
        _create_at_once(job, target.work(actor, fields["action"]), _told(actor, fields))
    except NoTargetError:
        raise NotConfirmed from None
    actor.is_confirmed = True
    job.created_by = actor.as_user()
    job.site = known_object(Site, id=job.site_id, site_id=site_id)
    return job


def _new_job(target: Target, actor: Any, **fields: Any) -> Job:
    return new_object(
        Job,
        site=target.site or (target.device.site if target.device else None),
        device=target.device,
        segment=target.segment,
        target=target.as_json(),
        created_by=actor,
        **fields,
    )


def _told(actor: User | PresumedUser | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "event": AuditEvent.JOB_CREATED,
        "actor": actor,
        "changes": {name: (None, value) for name, value in fields.items()},
    }


def _is_one_statement(job: Job) -> bool:
    """Whether nothing but the job, its executions and its audit row is to be written."""
    return (
        connection.vendor == "postgresql"
        and job.site is not None
        and not job.collapse_key
        and not job.config_version
        and not NEEDED_PERMISSION.get(JobAction(job.action))
    )


@again_after_clash
@in_one_statement
def _create_at_once(job: Job, chosen: Question, told: dict[str, Any]) -> None:
    def record(combined: Combined) -> None:
        audit.record_in(
            combined,
            target=job,
            description=job_sentence(job) if job.device else job_sentence_start(job),
            metadata={"target": job.target},
            expressions={
                "site_id": "made.site_id",
                "description": "%s" if job.device else f"%s || {SITE_AND_DEVICES_TEXT}",
                "event_metadata": "%s::jsonb || jsonb_build_object('total_devices', total)",
            },
            **told,
        )

    job.json_as_stored = freeze(job, chosen, now=_begin(job), also=record)


@retried
def _create_in_steps(new: Callable[[], Job], chosen: Question, told: dict[str, Any]) -> Job:
    job = new()  # an attempt before may have set what it found
    _create(job, chosen)
    audit.record(
        target=job,
        description=job_sentence(job),
        metadata={"target": job.target, "total_devices": job.total},
        **told,
    )
    if not job.open:
        move_job(job, Counter(), now=timezone.now(), actor=job.created_by)
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
        _create(new, work_of(devices, new.action))
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


def _begin(job: Job) -> datetime:
    """Give `job`, which is new, its id and its state; returns the time that is now."""
    now = timezone.now()
    if job.scheduled_at is not None and job.scheduled_at <= now:
        job.scheduled_at = None
    is_ahead = job.scheduled_at is not None
    job.job_id = make_identifier("job")
    job.status = JobStatus.PENDING if is_ahead else JobStatus.QUEUED
    job.released_at = None if is_ahead else now
    return now


def _create(job: Job, chosen: Question) -> None:
    """Save `job` with an execution for each of `chosen`; raises NoTargetError."""
    now = _begin(job)
    freeze(job, chosen, now=now)
    if job.scheduled_at is None:
        begin_release(job, now=now, actor=job.created_by)
