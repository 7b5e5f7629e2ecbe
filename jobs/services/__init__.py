"""Everything that changes jobs and their executions."""

from __future__ import annotations

from jobs.services.cancellation import cancel_job, end_device_work
from jobs.services.creation import create_job, create_usual_job, retry_job
from jobs.services.deadlines import end_due_executions
from jobs.services.device_tasks import begin_device_task, report_device_task
from jobs.services.offers import Command, Work, offer_work
from jobs.services.release import release_job
from jobs.services.reports import CommandReport, acknowledge, report_outcome

__all__ = [
    "Command",
    "CommandReport",
    "Work",
    "acknowledge",
    "begin_device_task",
    "cancel_job",
    "create_job",
    "create_usual_job",
    "end_device_work",
    "end_due_executions",
    "offer_work",
    "release_job",
    "report_device_task",
    "report_outcome",
    "retry_job",
]
