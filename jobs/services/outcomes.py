"""What follows for a job when executions of it end.

Executions are moved first, then their jobs, in the order of ids: whoever locks, locks so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Count, F

from audit import services as audit
from audit.enums import AuditEvent, Outcome, Severity
from homepot.bulk import any_of
from jobs.enums import ExecutionStatus, JobStatus
from jobs.models import Job, JobExecution
from jobs.words import outcome_sentence

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
# Devices make up their own: of the failures of a job so many kinds are told apart.
CODES_TOLD = 50
NOT_BEGUN = frozenset({JobStatus.PENDING, JobStatus.QUEUED, JobStatus.SENT})


def count_ended(
    ended: Iterable[tuple[int, ExecutionStatus]],
    *,
    now: datetime,
    actor: models.Model | None,
    begins: bool = False,
) -> None:
    """Count executions that have just ended, each as (job's pk, how), and end jobs with none open.

    With `begins` they also show that their job has begun. The last statements of their
    transaction: reports of one job wait here for each other.
    """
    by_job: dict[int, Counter[ExecutionStatus]] = {}
    for job_pk, status in ended:
        by_job.setdefault(job_pk, Counter())[status] += 1
    for job_pk, counts in sorted(by_job.items()):
        if begins or not _count(job_pk, counts, now):
            job = Job.objects.select_for_update(no_key=True).get(pk=job_pk)
            move_job(job, counts, now=now, actor=actor, begins=begins)


def _count(job_pk: int, counts: Counter[ExecutionStatus], now: datetime) -> bool:
    """Count what ended while more is open, which is nearly always."""
    counters = {status.value: F(status.value) + count for status, count in counts.items()}
    open_then = Job.objects.filter(pk=job_pk, open__gt=counts.total())
    return bool(open_then.update(open=F("open") - counts.total(), **counters, updated_at=now))


def move_job(
    job: Job,
    counts: Counter[ExecutionStatus],
    *,
    now: datetime,
    actor: models.Model | None,
    begins: bool = False,
    **columns: Any,
) -> None:
    """Count on `job`, which the caller has locked, store `columns`, and end it if none is open.

    In one UPDATE: after a second one of a row in the same transaction PostgreSQL looks again
    whether what the row refers to is there. That locks the device, which has to come first.
    """
    if begins and job.status in NOT_BEGUN:
        _tell_of_begin(job, actor)
        columns |= _begun(now)
    for status, count in counts.items():
        columns[status.value] = getattr(job, status.value) + count
    columns["open"] = job.open - counts.total()
    for name, value in columns.items():
        setattr(job, name, value)
    was = job.status
    if not job.open:
        job.status = _status_of(job)
        columns |= {
            "status": job.status,
            "completed_at": now,
            "result": _result_of(job),
            "error_message": _told(job),
        }
    Job.objects.filter(pk=job.pk).update(**columns, updated_at=now)
    if not job.open:
        event, outcome, severity = ENDED_EVENTS[JobStatus(job.status)]
        audit.record(
            event=event,
            actor=actor,
            target=job,
            description=outcome_sentence(job),
            changes={"status": (was, job.status)},
            metadata={"result": columns["result"]},
            outcome=outcome,
            severity=severity,
        )


def _result_of(job: Job) -> dict[str, Any]:
    by_code = (
        JobExecution.objects.filter(job=job, status=ExecutionStatus.FAILED)
        .values_list("error_code")
        .annotate(count=Count("pk"))
        .order_by("-count", "error_code")[:CODES_TOLD]
    )
    failures: Counter[str] = Counter()
    for code, count in by_code:
        failures[code or "unspecified"] += count
    if others := job.failed - failures.total():
        failures["other"] += others
    return {
        "total_devices": job.total,
        **{status.value: getattr(job, status.value) for status in COUNTED},
        "failures": dict(failures),
    }


def _status_of(job: Job) -> JobStatus:
    """What became of a job whose executions have all ended."""
    if job.completed and job.completed + job.superseded == job.total:
        return JobStatus.COMPLETED
    # Also when nobody asked: all its devices left, or a newer job took its place.
    if job.cancel_requested_at or job.cancelled + job.superseded == job.total:
        return JobStatus.CANCELLED
    began = job.status == JobStatus.ACKNOWLEDGED
    return JobStatus.FAILED if began or job.failed else JobStatus.EXPIRED


def _told(job: Job) -> str:
    """The outcome in a sentence, empty when all went well."""
    if job.status == JobStatus.COMPLETED:
        return ""
    parts = [f"{getattr(job, name)} {name}" for name in COUNTED if getattr(job, name)]
    return f"Of {job.total} {'device' if job.total == 1 else 'devices'}: {', '.join(parts)}."


def mark_begun(job: Job, *, now: datetime, device: models.Model) -> None:
    """Note that the first device of `job` began, if it is the first."""
    if job.status not in NOT_BEGUN:
        return
    not_begun = Job.objects.filter(pk=job.pk, status__in=NOT_BEGUN)
    if not_begun.update(**_begun(now), updated_at=now):
        _tell_of_begin(job, device)


def _begun(now: datetime) -> dict[str, Any]:
    return {"status": JobStatus.ACKNOWLEDGED, "started_at": now}


def _tell_of_begin(job: Job, device: models.Model | None) -> None:
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
    JobExecution.objects.filter(pk__in=any_of(pks)).update(**columns, **ended(now))
