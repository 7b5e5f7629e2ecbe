"""Open work in numbers: at one site, and of the fleet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet

from jobs.enums import OPEN, ExecutionStatus
from jobs.models import JobExecution
from jobs.querysets import JobExecutionQuerySet
from sites.models import Site

COUNTS = {
    "open": Count("pk"),
    **{status.value: Count("pk", filter=Q(status=status)) for status in sorted(OPEN)},
    "devices": Count("device", distinct=True),
    "jobs": Count("job", distinct=True),
}


def _open(executions: JobExecutionQuerySet, now: datetime) -> JobExecutionQuerySet:
    """What time has ended has ended, swept or not."""
    return executions.open().filter(due_at__gt=now).order_by()


def site_work(site: Site, now: datetime) -> dict[str, Any]:
    """One statement."""
    executions = JobExecution.objects.filter(device__site=site)
    return {"site_id": site.site_id, **_open(executions, now).aggregate(**COUNTS)}


def fleet_work(executions: JobExecutionQuerySet, now: datetime) -> dict[str, Any]:
    """Of those `executions`, all their sites together and each; three statements."""
    open_now = _open(executions, now)
    by_site: QuerySet[Any, Any] = (
        open_now.values("device__site__site_id")
        .annotate(**COUNTS)
        .order_by("-open", "device__site__site_id")
    )
    failed = executions.filter(_failed_lately(now))
    sites = []
    for row in by_site:
        site_id = row.pop("device__site__site_id")
        sites.append({"site_id": site_id, **row})
    return {
        **open_now.aggregate(**COUNTS),
        "failed_last_24_hours": failed.count(),
        "sites": sites,
    }


def work_now(executions: JobExecutionQuerySet, now: datetime) -> dict[str, int]:
    """How many of those `executions` are `open`, and `failed` in the last day; one statement."""
    is_open = Q(due_at__gt=now)
    some = executions.filter(is_open | _failed_lately(now)).order_by()
    counts: dict[str, int] = some.aggregate(
        open=Count("pk", filter=is_open), failed=Count("pk", filter=_failed_lately(now))
    )
    return counts


def _failed_lately(now: datetime) -> Q:
    return Q(status=ExecutionStatus.FAILED, finished_at__gt=now - timedelta(hours=24))
