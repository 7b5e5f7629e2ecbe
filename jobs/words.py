"""What a job is, in words: what its page is headed by, and what the audit log says of it."""

from __future__ import annotations

from jobs.enums import JobAction
from jobs.models import Job


def job_title(job: Job) -> str:
    """As in "Restart · Shop 12 · 5 devices"; reads its site or device."""
    return f"{job.get_action_display()} · {_place(job)} · {devices_text(job.total)}"


def job_sentence(job: Job) -> str:
    """As in "Restart for site Shop 12, 5 devices", or "Restart for device Till 3"."""
    if job.device is not None:
        return f"{job.get_action_display()} for device {job.device.name}"
    if job.site is not None:
        return f"{job_sentence_start(job)}{job.site.name}, {devices_text(job.total)}"
    return f"{job.get_action_display()} for several sites, {devices_text(job.total)}"


def job_sentence_start(job: Job) -> str:
    """`job_sentence` of a job for a site, up to the name of that."""
    return f"{JobAction(job.action).label} for site "


def outcome_sentence(job: Job) -> str:
    """As in "Restart: 4 of 5 devices completed"; reads nothing else."""
    return f"{job.get_action_display()}: {job.completed:,} of {devices_text(job.total)} completed"


def devices_text(count: int) -> str:
    return "1 device" if count == 1 else f"{count:,} devices"


# The same of `total`, in PostgreSQL's words.
DEVICES_TEXT = (
    "CASE total WHEN 1 THEN '1 device' ELSE to_char(total, 'FM999,999,999') || ' devices' END"
)
# And what follows `job_sentence_start`, of the job `made`.
SITE_AND_DEVICES_TEXT = (
    f"(SELECT name FROM sites WHERE sites.id = made.site_id) || ', ' || {DEVICES_TEXT}"  # noqa: S608
)


def _place(job: Job) -> str:
    if job.device is not None:
        return job.device.name
    return job.site.name if job.site is not None else "Several sites"
