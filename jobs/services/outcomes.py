"""What follows for a job when executions of it end.

Executions are moved first, then their jobs, in the order of ids: whoever locks, locks so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection, models
from django.db.models import Count

from audit import services as audit
from audit.enums import AuditEvent, Outcome, Severity
from homepot.bulk import update_rows
from jobs.enums import OPEN_JOB, ExecutionStatus, JobStatus
from jobs.models import Job, JobExecution

ENDED_EVENTS = {
    JobStatus.COMPLETED: (AuditEvent.JOB_COMPLETED, Outcome.SUCCESS, Severity.INFO),
    JobStatus.FAILED: (AuditEvent.JOB_FAILED, Outcome.FAILURE, Severity.WARNING),
    JobStatus.CANCELLED: (AuditEvent.JOB_CANCELLED, Outcome.SUCCESS, Severity.INFO),
    JobStatus.EXPIRED: (AuditEvent.JOB_EXPIRED, Outcome.FAILURE, Severity.WARNING),
}
COUNTED = (
    ExecutionStatus.COMPLETED,
    ExecutionStatus.FAILED,
    ExecutionStatus.CANCELLED,
    ExecutionStatus.EXPIRED,
    ExecutionStatus.SUPERSEDED,
)
# One statement on both engines; it says what is still open after it.
COUNT = (
    "UPDATE jobs SET open = open - %s, "  # noqa: S608
    + ", ".join(f"{status} = {status} + %s" for status in COUNTED)
    + ", updated_at = %s WHERE id = %s RETURNING open"
)


def count_ended(
    ended: Iterable[tuple[int, ExecutionStatus]], *, now: datetime, actor: models.Model | None
) -> None:
    """Count executions that have just ended, each as (job's pk, how), and end jobs with none open.

    The last statements of their transaction: reports of one job wait here for each other.
    """
    by_job: dict[int, Counter[ExecutionStatus]] = {}
    for job_pk, status in ended:
        by_job.setdefault(job_pk, Counter())[status] += 1
    for job_pk, counts in sorted(by_job.items()):
        if not _count(job_pk, counts, now):
            finish(job_pk, now=now, actor=actor)


def _count(job_pk: int, counts: Counter[ExecutionStatus], now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            COUNT,
            [
                counts.total(),
                *(counts[status] for status in COUNTED),
                connection.ops.adapt_datetimefield_value(now),
                job_pk,
            ],
        )
        (still_open,) = cursor.fetchone()
    return still_open


def finish(job_pk: int, *, now: datetime, actor: models.Model | None) -> None:
    """Give a job of which nothing is open its outcome and its audit row."""
    job = Job.objects.get(pk=job_pk)
    status = _status_of(job)
    failures = dict(
        JobExecution.objects.filter(job=job, status=ExecutionStatus.FAILED)
        .order_by("error_code")
        .values_list("error_code")
        .annotate(count=Count("pk"))
    )
    result: dict[str, Any] = {
        "total_devices": job.total,
        **{str(name): getattr(job, name) for name in COUNTED},
        "failures": {code or "unspecified": count for code, count in failures.items()},
    }
    moved = Job.objects.filter(pk=job_pk, status__in=OPEN_JOB).update(
        status=status,
        completed_at=now,
        result=result,
        error_message=_told(job, status),
        updated_at=now,
    )
    if moved:
        event, outcome, severity = ENDED_EVENTS[status]
        audit.record(
            event=event,
            actor=actor,
            target=job,
            changes={"status": (job.status, status)},
            metadata={"result": result},
            outcome=outcome,
            severity=severity,
        )


def _status_of(job: Job) -> JobStatus:
    """What became of a job whose executions have all ended."""
    if job.completed and job.completed + job.superseded == job.total:
        return JobStatus.COMPLETED
    # Also when nobody asked: all its devices left, or a newer job took its place.
    if job.cancel_requested_at or job.cancelled + job.superseded == job.total:
        return JobStatus.CANCELLED
    began = job.status == JobStatus.ACKNOWLEDGED
    return JobStatus.FAILED if began or job.failed else JobStatus.EXPIRED


def _told(job: Job, status: JobStatus) -> str:
    """The outcome in a sentence, empty when all went well."""
    if status == JobStatus.COMPLETED:
        return ""
    parts = [f"{getattr(job, name)} {name}" for name in COUNTED if getattr(job, name)]
    return f"Of {job.total} {'device' if job.total == 1 else 'devices'}: {', '.join(parts)}."


def mark_begun(job: Job, *, now: datetime, device: models.Model) -> None:
    """Note that the first device of `job` began, if it is the first."""
    before = (JobStatus.PENDING, JobStatus.QUEUED, JobStatus.SENT)
    if job.status not in before:
        return
    moved = Job.objects.filter(pk=job.pk, status__in=before).update(
        status=JobStatus.ACKNOWLEDGED, started_at=now, updated_at=now
    )
    if moved:
        audit.record(
            event=AuditEvent.JOB_STARTED,
            actor=device,
            target=job,
            changes={"status": (job.status, JobStatus.ACKNOWLEDGED)},
        )


def ended(now: datetime) -> dict[str, Any]:
    """The columns of an execution that ends at `now`, besides its status."""
    return {"finished_at": now, "offer_at": None, "due_at": None, "updated_at": now}


def end_rows(pks: list[int], columns: dict[str, Any], now: datetime) -> None:
    """End executions, which the caller has locked, in one statement."""
    values = columns | ended(now)
    update_rows(JobExecution, tuple(values), [(pk, *values.values()) for pk in pks])
