"""What the page of one job is made of. Each section takes the statements that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from audit import words
from audit.models import AuditLog
from homepot.admin import (
    ago,
    list_link,
    list_url,
    moment_text,
    page_link,
    sections,
    time_text,
    two_lines,
)
from jobs.admin.about import TABLE, told
from jobs.admin.labels import (
    duration_text,
    priority_label,
    progress_bar,
    segment_name,
    status_label,
)
from jobs.enums import OPEN, ExecutionStatus
from jobs.models import Job, JobExecution

PAGE = "jobs.job"
# Of its executions; the others are a click away.
SHOWN = 25
# The counters of a job, and in which states executions are that they count.
STATUSES = (
    ("open", OPEN),
    ("completed", (ExecutionStatus.COMPLETED,)),
    ("failed", (ExecutionStatus.FAILED,)),
    ("expired", (ExecutionStatus.EXPIRED,)),
    ("cancelled", (ExecutionStatus.CANCELLED,)),
    ("superseded", (ExecutionStatus.SUPERSEDED,)),
)


def progress(request: HttpRequest, job: Job) -> dict[str, Any]:
    """1. its failures by error code, when there are any."""
    now = timezone.now()
    if job.completed_at:
        since = f"{ago(job.completed_at, now)}"
    elif job.cancel_requested_at:
        since = f"cancelling since {ago(job.cancel_requested_at, now)}"
    else:
        since = f"created {ago(job.created_at, now)}"
    return {
        "label": status_label(job.status),
        "ago": since,
        "told": job.error_message,
        "bar": progress_bar(job),
        "counts": list(_counts(job)),
        "facts": list(_facts(job)),
        "failures": _failures(job) if job.failed else (),
    }


def _counts(job: Job) -> Iterator[tuple[str, str]]:
    """How many of its executions are how, each a way to these."""
    for name, statuses in STATUSES:
        if count := getattr(job, name):
            values = sorted(status.value for status in statuses)
            url = list_url("jobs_jobexecution", job__id__exact=job.pk, status=values)
            yield f"{count:,} {name}", url


def _facts(job: Job) -> Any:
    yield "What", two_lines(job.get_action_display(), job.description)
    if job.device:
        yield "Where", page_link("devices_device", job.device.pk, job.device)
    elif job.site:
        site = page_link("sites_site", job.site.pk, job.site)
        yield "Where", two_lines(site, segment_name(job.segment) if job.segment else "")
    else:
        kind = segment_name(job.segment) if job.segment else ""
        yield "Where", two_lines("Several sites", kind)
    yield "Priority", priority_label(job.priority)
    if job.config_version:
        yield "Configuration", job.config_version
    yield "Created", two_lines(job.created_by or "-", time_text(job.created_at))
    if job.retry_of:
        yield "Retry of", page_link("jobs_job", job.retry_of.pk, job.retry_of)
    if job.scheduled_at:
        yield "Not before", moment_text(job.scheduled_at)
    yield "First device began", moment_text(job.started_at)
    yield "Ended", moment_text(job.completed_at)
    yield "Expires after", duration_text(job.ttl_seconds)
    yield "Fails after", duration_text(job.timeout_seconds)


def _failures(job: Job) -> list[tuple[str, str]]:
    counted = (
        job.executions.filter(status=ExecutionStatus.FAILED)
        .order_by("error_code")
        .values_list("error_code")
        .annotate(count=Count("pk"))
    )
    return [
        (
            list_link(
                "jobs_jobexecution",
                code or "unspecified",
                job__id__exact=job.pk,
                status=ExecutionStatus.FAILED.value,
                error_code=code,
            ),
            f"{count:,}",
        )
        for code, count in counted
    ]


def executions(request: HttpRequest, job: Job) -> dict[str, Any]:
    """1. some of its executions."""
    now = timezone.now()
    some: QuerySet[Any] = (
        JobExecution.objects.visible_to(request.user)
        .filter(job=job)
        .with_status(now)
        .select_related("device__site")
        .defer("result", "device__config", "device__os_details", "device__permissions")
        .order_by("-created_at", "-pk")[:SHOWN]
    )
    return {
        "headings": ("Device", "Site", "Status", "Offers", "Since", "Error"),
        "rows": [
            (
                two_lines(
                    page_link("jobs_jobexecution", row.pk, row.device.name), row.device.device_id
                ),
                row.device.site.name,
                status_label(row.current_status),
                row.attempt,
                moment_text(_moved_at(row), now),
                told(row),
            )
            for row in some
        ],
        "empty": "None of its devices is at a site of yours.",
        "all": list_url("jobs_jobexecution", job__id__exact=job.pk),
    }


def record(request: HttpRequest, job: Job) -> dict[str, Any]:
    """1. what was done with it, and by whom."""
    return words.newest_of(
        AuditLog.objects.visible_to(request.user).filter(job=job.pk),
        empty="What was done with it is for those who see all of its sites.",
        job__id__exact=job.pk,
    )


def _moved_at(execution: JobExecution) -> Any:
    times = (execution.finished_at, execution.acknowledged_at, execution.sent_at)
    return next((time for time in times if time), execution.queued_at)


sections.add(
    PAGE,
    sections.Section("Progress", "jobs/admin/progress.html", progress, sections.FIRST),
)
sections.add(PAGE, sections.Section("Executions", TABLE, executions, sections.OWN))
sections.add(PAGE, sections.Section("Audit log", TABLE, record, sections.LAST))
