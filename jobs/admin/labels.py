"""How pages write the vocabularies of jobs."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString

from homepot.admin import label
from homepot.admin.charts import strip
from jobs.enums import ExecutionStatus, JobPriority, JobStatus
from jobs.models import Job
from jobs.targets import SEGMENTS

# Executions have these, and jobs most of them under the same names.
COLOURS = {
    ExecutionStatus.QUEUED.label: "info",
    ExecutionStatus.SENT.label: "info",
    ExecutionStatus.ACKNOWLEDGED.label: "primary",
    ExecutionStatus.COMPLETED.label: "success",
    ExecutionStatus.FAILED.label: "danger",
    ExecutionStatus.EXPIRED.label: "warning",
}
SYMBOLS: Mapping[str, str] = {
    JobStatus.PENDING.label: "schedule",
    ExecutionStatus.QUEUED.label: "hourglass_empty",
    ExecutionStatus.SENT.label: "send",
    ExecutionStatus.ACKNOWLEDGED.label: "play_circle",
    ExecutionStatus.COMPLETED.label: "check_circle",
    ExecutionStatus.FAILED.label: "error",
    ExecutionStatus.CANCELLED.label: "cancel",
    ExecutionStatus.EXPIRED.label: "timer_off",
    ExecutionStatus.SUPERSEDED.label: "low_priority",
}
PRIORITY_COLOURS = {"High": "warning", "Critical": "danger"}
PRIORITY_SYMBOLS = {"High": "keyboard_arrow_up", "Critical": "keyboard_double_arrow_up"}
# In this order along the bar of a job's progress.
PARTS = ("completed", "failed", "expired", "cancelled", "superseded", "open")


def segment_name(segment: str) -> str:
    """A kind of devices as people say it: "all devices", "POS terminals"."""
    device_type = SEGMENTS.get(segment)
    return f"{device_type.label}s" if device_type else "All devices"


def status_label(status: str) -> SafeString:
    name = ExecutionStatus(status).label if status in ExecutionStatus else JobStatus(status).label
    return label(name, COLOURS, SYMBOLS.get(name, ""))


def priority_label(priority: int) -> SafeString:
    name = JobPriority(priority).label.capitalize()
    return label(name, PRIORITY_COLOURS, PRIORITY_SYMBOLS.get(name, ""))


def progress_bar(job: Job) -> SafeString:
    """How far a job is: a bar, whose parts are told in words too."""
    parts = [(name, getattr(job, name)) for name in PARTS if getattr(job, name)]
    words = ", ".join(f"{count:,} {name}" for name, count in parts) or "no devices"
    return format_html(
        '<span class="homepot-progress">{}<span class="homepot-small">{} of {} ended</span></span>',
        strip(parts, words),
        f"{job.total - job.open:,}",
        f"{job.total:,}",
    )


def duration_text(seconds: int) -> str:
    """A time span as people say it: "2 days", "90 minutes"."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds % length == 0 and seconds:
            count = seconds // length
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:,} seconds"
