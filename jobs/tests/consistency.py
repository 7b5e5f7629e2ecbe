"""What always holds of jobs, executions and the audit log, whoever did what at the same time."""

from __future__ import annotations

from collections import Counter

from django.db.models import Count, Q

from audit.models import AuditLog
from devices.enums import LifecycleState
from jobs.enums import FINAL, OPEN_JOB, ExecutionStatus, JobStatus
from jobs.models import Job, JobExecution

ENDED = {f"job_{status}" for status in JobStatus.values if status not in OPEN_JOB}


def assert_consistent() -> None:
    """Fail unless all that is stored of jobs fits together."""
    _assert_counted()
    _assert_told()
    open_work = JobExecution.objects.open()
    assert not open_work.exclude(device__lifecycle_state=LifecycleState.ACTIVE).exists()
    # Offered as often as is said, and never once it had begun.
    assert not open_work.filter(status=ExecutionStatus.QUEUED).exclude(attempt=0).exists()
    assert not open_work.filter(status=ExecutionStatus.SENT, attempt=0).exists()
    begun = open_work.filter(status=ExecutionStatus.ACKNOWLEDGED, cancel_requested_at=None)
    assert not begun.exclude(offer_at=None).exists()


def _assert_counted() -> None:
    """The counters of each job are what its executions say, and its status what follows."""
    counted: dict[int, Counter[str]] = {}
    for row in JobExecution.objects.order_by().values("job", "status").annotate(count=Count("pk")):
        status = row["status"] if row["status"] in FINAL else "open"
        counted.setdefault(row["job"], Counter())[status] += row["count"]
    for job in Job.objects.all():
        counts = counted[job.pk]
        assert {name: getattr(job, name) for name in ("total", "open", *FINAL)} == {
            "total": counts.total(),
            "open": counts["open"],
            **{name: counts[name] for name in FINAL},
        }, job
        assert (job.open == 0) == (job.status not in OPEN_JOB), job
        assert (job.completed_at is None) == (job.open > 0), job
        if job.result is not None:
            assert {name: job.result[name] for name in FINAL} == {
                name: counts[name] for name in FINAL
            }
        assert (job.result is None) == (job.open > 0), job
    were_sent = Q(sent_at__isnull=False)
    waiting = JobExecution.objects.filter(job__status__in=[JobStatus.PENDING, JobStatus.QUEUED])
    assert not waiting.filter(were_sent).exists()
    began = Q(status__in=[ExecutionStatus.ACKNOWLEDGED, ExecutionStatus.COMPLETED])
    sent = JobExecution.objects.filter(job__status__in=[JobStatus.SENT, JobStatus.QUEUED])
    assert not sent.filter(began).exists()


def _assert_told() -> None:
    """Each job was made once and ended at most once in the audit log."""
    made: Counter[int] = Counter()
    started: Counter[int] = Counter()
    ended: Counter[int] = Counter()
    for job, event, values in AuditLog.objects.exclude(job=None).values_list(
        "job_id", "event_type", "new_values"
    ):
        made[job] += event in ("job_created", "job_retried")
        started[job] += event == "job_started"
        # A cancellation that is only asked for moves no status.
        ended[job] += event in ENDED and "status" in (values or {})
    for pk, status, started_at in Job.objects.values_list("pk", "status", "started_at"):
        assert made[pk] == 1
        assert started[pk] == (started_at is not None)
        assert ended[pk] == (status not in OPEN_JOB)
