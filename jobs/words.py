"""What a job is, in words: what its page is headed by, and what the audit log says of it."""

from __future__ import annotations

from jobs.models import Job


def job_title(job: Job) -> str:
    """As in "Restart · Shop 12 · 5 devices"; reads its site or device."""
    return f"{job.get_action_display()} · {_place(job)} · {devices_text(job.total)}"


def job_sentence(job: Job) -> str:
    """As in "Restart for site Shop 12, 5 devices"."""
    return job_sentence_start(job) + ("" if job.device is not None else devices_text(job.total))


def job_sentence_start(job: Job) -> str:
    """`job_sentence` up to how many devices, which follows unless it is for one that it names."""
    if job.device is not None:
        return f"{job.get_action_display()} for device {job.device.name}"
    place = f"site {job.site.name}" if job.site is not None else "several sites"
    return f"{job.get_action_display()} for {place}, "


def outcome_sentence(job: Job) -> str:
    """As in "Restart: 4 of 5 devices completed"; reads nothing else."""
    return f"{job.get_action_display()}: {job.completed:,} of {devices_text(job.total)} completed"


def devices_text(count: int) -> str:
    return "1 device" if count == 1 else f"{count:,} devices"


# The same of `total`, in PostgreSQL's words.
DEVICES_TEXT = (
    "CASE total WHEN 1 THEN '1 device' ELSE to_char(total, 'FM999,999,999') || ' devices' END"
)


def _place(job: Job) -> str:
    if job.device is not None:
        return job.device.name
    return job.site.name if job.site is not None else "Several sites"
