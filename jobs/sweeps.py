"""What the service does to jobs by itself: see `homepot/sweeps.py`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from homepot.sweeps import run_steps
from jobs import services
from jobs.enums import JobStatus
from jobs.models import Job

# Jobs looked for at a time; each is released in a transaction of its own.
RELEASED_AT_ONCE = 50


def release_scheduled_jobs(now: datetime) -> int:
    """Release jobs whose time has come. Returns their number."""
    return run_steps(_release_steps(now))


def _release_steps(now: datetime) -> Iterator[int]:
    due = Job.objects.filter(status=JobStatus.PENDING, scheduled_at__lte=now)
    while pks := list(
        due.order_by("scheduled_at", "pk").values_list("pk", flat=True)[:RELEASED_AT_ONCE]
    ):
        released = 0
        for pk in pks:
            released += services.release_job(pk, now=now)
            yield released
            released = 0


def end_overdue_executions(now: datetime) -> int:
    """End what was not begun, or not finished, in time. Returns the number of executions."""
    return run_steps(_end_steps(now))


def _end_steps(now: datetime) -> Iterator[int]:
    while count := services.end_due_executions(now):
        yield count
