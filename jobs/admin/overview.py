"""What the admin's first page shows of work. Each part takes the statements that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from homepot.admin import ago_text, list_url, page_link, sections, two_lines
from homepot.admin.overview import PAGE, Tile, add_tiles
from homepot.admin.sections import Section, keyed
from jobs.admin.about import TABLE
from jobs.admin.labels import progress_bar, segment_name, status_label
from jobs.enums import OPEN, ExecutionStatus, JobStatus
from jobs.models import Job, JobExecution
from jobs.open_work import work_now

SHOWN = 6
RUNNING = (JobStatus.QUEUED, JobStatus.SENT, JobStatus.ACKNOWLEDGED)


def tiles(request: Any) -> Iterator[Tile]:
    """1. open and failed executions."""
    executions = JobExecution.objects.visible_to(request.user)
    work = work_now(executions, timezone.now())
    listed = "jobs_jobexecution"
    statuses = sorted(status.value for status in OPEN)
    yield Tile(
        "Open work",
        f"{work['open']:,}",
        list_url(listed, status=statuses),
        "work",
        "pending_actions",
    )
    yield Tile(
        "Failed in 24 h",
        f"{work['failed']:,}",
        list_url(listed, status=ExecutionStatus.FAILED.value),
        "failed",
        "assignment_late",
    )


def running(request: HttpRequest, nothing: None) -> dict[str, Any]:
    """1. the newest jobs that are released and have not ended."""
    now = timezone.now()
    jobs = (
        Job.objects.visible_to(request.user)
        .filter(status__in=RUNNING)
        .select_related("site", "device", "created_by")
        .defer("payload", "target", "result", "device__config", "device__os_details")
        .order_by("-created_at", "-pk")[:SHOWN]
    )
    return {
        "headings": ("Job", "Where", "Progress"),
        "rows": [
            keyed(
                job.pk,
                two_lines(
                    page_link("jobs_job", job.pk, job.get_action_display()),
                    ago_text(job.created_at, now),
                ),
                _where(job),
                format_html("{}{}", status_label(job.status), progress_bar(job)),
            )
            for job in jobs
        ],
        "empty": "None: no job is under way.",
        "all": list_url("jobs_job"),
    }


def _where(job: Job) -> str:
    if job.device:
        return two_lines(job.device.name, job.device.device_id)
    if job.site:
        return two_lines(job.site.name, segment_name(job.segment))
    return two_lines("Several sites", segment_name(job.segment) if job.segment else "")


add_tiles(tiles)
sections.add(PAGE, Section("Running jobs", TABLE, running, sections.FIRST, is_half=True))
