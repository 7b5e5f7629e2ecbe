"""What happens when a job's time has come: its devices may have it, an older one's turn is over."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from django.db.models import F, Q
from django.utils import timezone

from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from devices.models import Device
from homepot.bulk import any_of
from homepot.transactions import lock_name, retried
from jobs.enums import CONFIG_ACTIONS, OPEN_JOB, ExecutionStatus, JobStatus
from jobs.models import Job, JobExecution
from jobs.querysets import JobExecutionQuerySet
from jobs.services.outcomes import count_ended, end_rows


class AlreadyReleasedError(Exception):
    """Somebody else did it meanwhile."""


def release_job(job_pk: int, *, now: datetime | None = None) -> bool:
    """Release a scheduled job whose time has come; False when there is nothing to release."""
    now = now or timezone.now()
    try:
        return _release(job_pk, now)
    except AlreadyReleasedError:
        return False


@retried
def _release(job_pk: int, now: datetime) -> bool:
    job = Job.objects.filter(pk=job_pk, status=JobStatus.PENDING, scheduled_at__lte=now).first()
    if job is None:
        return False
    begin_release(job, now=now, actor=None)
    moved = Job.objects.filter(pk=job_pk, status=JobStatus.PENDING).update(
        # Its executions count from then on too, however late the sweep comes.
        status=JobStatus.QUEUED,
        released_at=F("scheduled_at"),
        updated_at=now,
    )
    if not moved:
        raise AlreadyReleasedError
    return True


def begin_release(job: Job, *, now: datetime, actor: User | None) -> None:
    """Set what the devices of `job` should run, and end older jobs' work that it replaces.

    `actor` is None when time does it.
    """
    if job.collapse_key:
        lock_name(f"jobs.collapse_key {job.collapse_key}")
    if job.action in CONFIG_ACTIONS and job.config_version:
        _set_desired_version(job, now)
    if job.collapse_key:
        _supersede_older(job, now, actor)


def _waiting(job: Job, now: datetime) -> JobExecutionQuerySet:
    """What its devices may still have: not what failed at once, nor what came too late."""
    return JobExecution.objects.filter(job=job, status=ExecutionStatus.QUEUED, due_at__gt=now)


def _set_desired_version(job: Job, now: datetime) -> None:
    waiting = _waiting(job, now)
    devices = Device.objects.filter(pk__in=waiting.values("device")).exclude(
        desired_config_version=job.config_version
    )
    # In id order, as everybody locks devices.
    locked = devices.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
    if pks := list(locked):
        Device.objects.filter(pk__in=any_of(pks)).update(
            desired_config_version=job.config_version, updated_at=now
        )


def _supersede_older(job: Job, now: datetime, actor: User | None) -> None:
    """End what older jobs with the same key have not yet offered, device by device."""
    same_key = Job.objects.filter(
        collapse_key=job.collapse_key, status__in=sorted(OPEN_JOB)
    ).exclude(pk=job.pk)
    # The one released last stays, whatever the clocks of those who made them. Of those whose
    # time has come or is ahead, this one replaces the earlier.
    queued_at = job.scheduled_at or now
    is_earlier = Q(queued_at__lt=queued_at) | Q(queued_at=queued_at, job__lt=job.pk)
    is_released = Q(job__in=same_key.exclude(status=JobStatus.PENDING).values("pk"))
    older = list(
        JobExecution.objects.filter(
            is_released | is_earlier,
            job__in=same_key.values("pk"),
            status=ExecutionStatus.QUEUED,
            due_at__gt=now,
            device__in=_waiting(job, now).values("device"),
        )
        .order_by("pk")
        .select_for_update()
        .values_list("pk", "job_id")
    )
    if not older:
        return
    end_rows([pk for pk, _ in older], {"status": ExecutionStatus.SUPERSEDED}, now)
    counts = Counter(job_pk for _, job_pk in older)
    # By id, and with them this one, which the release of a scheduled job has yet to move.
    touched = Job.objects.filter(pk__in=[job.pk, *counts]).order_by("pk")
    for replaced in touched.select_for_update(no_key=True):
        if replaced.pk in counts:
            audit.record(
                event=AuditEvent.JOB_SUPERSEDED,
                actor=actor,
                target=replaced,
                metadata={"superseded_by": job.job_id, "devices": counts[replaced.pk]},
            )
    count_ended(
        [(job_pk, ExecutionStatus.SUPERSEDED) for _, job_pk in older],
        now=now,
        actor=actor,
    )
