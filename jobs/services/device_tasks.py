"""Work that a device started by itself, told in its own words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from audit import services as audit
from audit.enums import AuditEvent
from devices.models import Device
from devices.services.locks import lock_speaking_device
from homepot.identifiers import make_identifier
from homepot.transactions import retried
from jobs.enums import REPORTABLE, ExecutionStatus, JobAction, JobPriority, JobStatus
from jobs.errors import UnknownCommandError
from jobs.models import Job, JobExecution
from jobs.services.reports import CommandReport, report_outcome

# A device that is not heard of for so long has given its task up.
TIMEOUT = timedelta(days=1)


@retried
def begin_device_task(
    *,
    device: Device,
    description: str,
    payload: dict[str, Any],
    report: CommandReport | None = None,
) -> Job:
    """Note that `device` began something, and with a final `report` how that ended.

    It is acknowledged from the start. Raises DeviceMayNotSpeakError.
    """
    device = lock_speaking_device(device)
    now = timezone.now()
    job = Job.objects.create(
        job_id=make_identifier("job"),
        site=device.site,
        device=device,
        target={"device_id": device.device_id},
        action=JobAction.DEVICE_TASK,
        description=description,
        payload=payload,
        priority=JobPriority.NORMAL,
        status=JobStatus.ACKNOWLEDGED,
        timeout_seconds=round(TIMEOUT.total_seconds()),
        released_at=now,
        started_at=now,
        total=1,
        open=1,
    )
    JobExecution.objects.create(
        job=job,
        device=device,
        priority=job.priority,
        status=ExecutionStatus.ACKNOWLEDGED,
        attempt=1,
        queued_at=now,
        expires_at=now + TIMEOUT,
        sent_at=now,
        acknowledged_at=now,
        lease_until=now + TIMEOUT,
        due_at=now + TIMEOUT,
    )
    audit.record(
        event=AuditEvent.JOB_CREATED,
        actor=device,
        target=job,
        changes={"action": (None, job.action), "description": (None, description)},
    )
    if report is None or report.status not in REPORTABLE:
        return job
    return report_device_task(device=device, job_id=job.job_id, report=report)


def report_device_task(*, device: Device, job_id: str, report: CommandReport) -> Job:
    """Store how a task of `device` ended, or that it goes on; raises as `report_outcome` does."""
    command_id = command_of(device, job_id)
    if report.status in REPORTABLE:
        report_outcome(device=device, command_id=command_id, report=report)
    else:
        now = timezone.now()
        going_on = JobExecution.objects.filter(
            execution_id=command_id, status=ExecutionStatus.ACKNOWLEDGED, due_at__gt=now
        )
        going_on.update(due_at=now + TIMEOUT, lease_until=now + TIMEOUT, updated_at=now)
    return Job.objects.get(job_id=job_id)


def command_of(device: Device, job_id: str) -> UUID:
    """Raises UnknownCommandError when it is no task of `device`."""
    execution = JobExecution.objects.filter(
        job__job_id=job_id, job__action=JobAction.DEVICE_TASK, device=device
    ).first()
    if execution is None:
        raise UnknownCommandError("You have no such task.")
    return execution.execution_id
