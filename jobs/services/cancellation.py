"""Ending work before its devices do: cancelled jobs, and devices that leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Case, F, Value, When
from django.db.models.functions import Least
from django.utils import timezone

from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from devices.models import Device
from homepot.transactions import retried
from jobs.enums import FINAL, OPEN_JOB, ErrorCode, ExecutionStatus
from jobs.errors import JobEndedError
from jobs.models import Job, JobExecution
from jobs.scope import refuse_out_of_scope
from jobs.services.deadlines import end_by_time, end_due_executions
from jobs.services.outcomes import count_ended, end_rows, move_job


def cancel_job(*, job: Job, actor: User | None) -> Job:
    """Cancel what no device has yet, and ask the others to stop; once more changes nothing.

    A device that has its command learns of it when it checks in, and confirms, or its time
    runs out. Raises JobEndedError and OutOfScopeError.
    """
    if actor is not None:
        refuse_out_of_scope(job, actor)
    now = timezone.now()
    # What readers saw end in time was not cancelled, whether or not a sweep has been here.
    while end_due_executions(now, job=job):
        pass
    return _cancel(job, actor, now)


@retried
def _cancel(job: Job, actor: User | None, now: datetime) -> Job:
    executions = (
        JobExecution.objects.open()
        .filter(job=job)
        .order_by("pk")
        .select_for_update()
        .values_list("pk", "status")
    )
    waiting: list[int] = []
    begun: list[int] = []
    for pk, status in executions:
        (waiting if status == ExecutionStatus.QUEUED else begun).append(pk)
    job = Job.objects.select_for_update(no_key=True).get(pk=job.pk)
    if job.status not in OPEN_JOB:
        raise JobEndedError(f"Job {job.job_id} is {job.status} and cannot be cancelled.")
    if job.cancel_requested_at:
        return job
    if waiting:
        end_rows(waiting, {"status": ExecutionStatus.CANCELLED}, now)
    if begun:  # else the job ends here, which is told when it does
        _ask_to_stop(job, now)
        audit.record(
            event=AuditEvent.JOB_CANCEL_REQUESTED,
            actor=actor,
            target=job,
            changes={"cancel_requested_at": (None, now)},
            metadata={"cancelled": len(waiting), "asked_to_stop": len(begun)},
        )
    counts = Counter({ExecutionStatus.CANCELLED: len(waiting)})
    move_job(job, counts, now=now, actor=actor, cancel_requested_at=now)
    return job


def _ask_to_stop(job: Job, now: datetime) -> None:
    # Long enough to hear of it, and for one that is at it without having said so.
    told_by = Value(now + timedelta(seconds=job.timeout_seconds))
    is_sent = When(status=ExecutionStatus.SENT, then=Least(told_by, "expires_at"))
    JobExecution.objects.open().filter(job=job, cancel_requested_at=None).update(
        cancel_requested_at=now,
        offer_at=now,
        due_at=Case(is_sent, default=F("due_at")),
        updated_at=now,
    )


def end_device_work(*, devices: Sequence[Device], reason: str, actor: models.Model | None) -> None:
    """Cancel the open work of devices that are suspended, retired, moved or re-enrolled.

    In the transaction that does so, which holds their rows locked. `reason` is what happened
    to them, such as "suspended".
    """
    now = timezone.now()
    seen: Any = JobExecution.objects.open().with_status(now)
    open_work = (
        seen.filter(device__in=[device.pk for device in devices])
        .order_by("pk")
        .select_for_update()
        .values_list("pk", "job_id", "current_status")
    )
    left: list[int] = []
    # What time has ended did so before, whether or not a sweep has been here.
    over: list[int] = []
    ended: list[tuple[int, ExecutionStatus]] = []
    for pk, job_pk, status in open_work:
        is_over = status in FINAL
        (over if is_over else left).append(pk)
        ended.append((job_pk, ExecutionStatus(status) if is_over else ExecutionStatus.CANCELLED))
    if over:
        end_by_time(over, now)
    if left:
        columns = {
            "status": ExecutionStatus.CANCELLED.value,
            "error_code": ErrorCode(f"device_{reason}").value,
            "error_message": f"The device was {reason.replace('_', '-')}.",
        }
        end_rows(left, columns, now)
    count_ended(ended, now=now, actor=actor)
