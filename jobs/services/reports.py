"""What devices say of their commands: that they begin, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from audit import services as audit
from audit.enums import AuditEvent, Outcome, Severity
from devices.models import Device
from homepot.transactions import retried
from jobs.enums import CONFIG_ACTIONS, FINAL, ExecutionStatus
from jobs.errors import CommandRefusedError, UnknownCommandError
from jobs.models import JobExecution
from jobs.services.deadlines import end_due_executions
from jobs.services.outcomes import NOT_BEGUN, count_ended, ended, mark_begun

ENDED_MESSAGE = "This command is {}; nothing can change that."


class LostError(Exception):
    """The row is not as it was a moment ago, or not as it must be."""


@dataclass(frozen=True, slots=True)
class CommandReport:
    """What became of a command. `attempt` is None when the agent does not know it."""

    status: ExecutionStatus
    result: Any = None
    error_code: str = ""
    error_message: str = ""
    executed_at: datetime | None = None
    attempt: int | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


def acknowledge(*, device: Device, command_id: UUID, attempt: int | None = None) -> JobExecution:
    """`device` begins a command; it is never offered again. Once more changes nothing.

    Raises UnknownCommandError, and CommandRefusedError when it must not begin.
    """
    now = timezone.now()
    try:
        return _acknowledge(device, command_id, attempt, now)
    except LostError:
        return _refuse_to_begin(device, command_id, attempt, now)


@retried
def _acknowledge(
    device: Device, command_id: UUID, attempt: int | None, now: datetime
) -> JobExecution:
    execution = own_command(device, command_id)
    until = now + timedelta(seconds=execution.job.timeout_seconds)
    rows = JobExecution.objects.filter(
        pk=execution.pk, status=ExecutionStatus.SENT, cancel_requested_at=None, due_at__gt=now
    )
    if attempt is not None:
        rows = rows.filter(attempt=attempt)
    moved = rows.update(
        status=ExecutionStatus.ACKNOWLEDGED,
        acknowledged_at=now,
        lease_until=until,
        offer_at=None,
        due_at=until,
        updated_at=now,
    )
    if not moved:
        raise LostError
    mark_begun(execution.job, now=now, device=device)
    execution.status = ExecutionStatus.ACKNOWLEDGED
    return execution


def _refuse_to_begin(
    device: Device, command_id: UUID, attempt: int | None, now: datetime
) -> JobExecution:
    execution = _settled(device, command_id, now)
    if execution.status in FINAL:
        raise CommandRefusedError(ENDED_MESSAGE.format(execution.status), code="command_ended")
    _refuse_other_attempt(execution, attempt)
    if execution.cancel_requested_at:
        if execution.status == ExecutionStatus.SENT:
            # It asks before it begins, so it has not begun.
            _end_as_cancelled(execution, device, now)
        raise CommandRefusedError("This command was cancelled.", code="command_cancelled")
    if execution.status == ExecutionStatus.QUEUED:
        raise CommandRefusedError(
            "This command was not offered to you yet.", code="command_not_offered"
        )
    return execution


@retried
def _end_as_cancelled(execution: JobExecution, device: Device, now: datetime) -> None:
    moved = JobExecution.objects.filter(pk=execution.pk, status=ExecutionStatus.SENT).update(
        status=ExecutionStatus.CANCELLED, **ended(now)
    )
    if moved:
        count_ended([(execution.job_id, ExecutionStatus.CANCELLED)], now=now, actor=device)


def report_outcome(*, device: Device, command_id: UUID, report: CommandReport) -> JobExecution:
    """Store how a command of `device` ended; the same again changes nothing.

    Raises UnknownCommandError, and CommandRefusedError when it has ended otherwise before,
    by its device or by time, or the report is of an earlier attempt. Such a report is kept in
    the audit log.
    """
    now = timezone.now()
    try:
        return _report_outcome(device, command_id, report, now)
    except LostError:
        return _refuse_outcome(device, command_id, report, now)


@retried
def _report_outcome(
    device: Device, command_id: UUID, report: CommandReport, now: datetime
) -> JobExecution:
    execution = own_command(device, command_id)
    job = execution.job
    is_done = report.status == ExecutionStatus.COMPLETED
    if is_done and job.action in CONFIG_ACTIONS and job.config_version:
        # Before the execution: whoever locks, locks in this order.
        Device.objects.filter(pk=device.pk).exclude(config_version=job.config_version).update(
            config_version=job.config_version, updated_at=now
        )
    rows = JobExecution.objects.filter(
        pk=execution.pk,
        # Some older agents do not acknowledge.
        status__in=(ExecutionStatus.SENT, ExecutionStatus.ACKNOWLEDGED),
        due_at__gt=now,
    )
    if report.status == ExecutionStatus.CANCELLED:
        rows = rows.filter(cancel_requested_at__isnull=False)
    if report.attempt is not None:
        rows = rows.filter(attempt=report.attempt)
    columns = {
        "status": report.status,
        "result": report.result,
        "error_code": report.error_code,
        "error_message": report.error_message,
        **ended(now),
    }
    # Who confirms that it will not begin has not begun.
    has_begun = report.status != ExecutionStatus.CANCELLED
    if has_begun:
        columns["acknowledged_at"] = Coalesce("acknowledged_at", Value(now))
    if not rows.update(**columns):
        raise LostError
    begins = has_begun and job.status in NOT_BEGUN
    count_ended([(job.pk, report.status)], now=now, actor=device, begins=begins)
    execution.status = report.status
    return execution


def _refuse_outcome(
    device: Device, command_id: UUID, report: CommandReport, now: datetime
) -> JobExecution:
    execution = _settled(device, command_id, now)
    if execution.status == report.status and (
        # Time may have made it fail, of which the device knows nothing.
        report.status != ExecutionStatus.FAILED or execution.error_code == report.error_code
    ):
        return execution
    try:
        if execution.status in FINAL:
            raise CommandRefusedError(ENDED_MESSAGE.format(execution.status), code="command_ended")
        _refuse_other_attempt(execution, report.attempt)
        if execution.status == ExecutionStatus.QUEUED:
            raise CommandRefusedError(
                "This command was not offered to you yet.", code="command_not_offered"
            )
        raise CommandRefusedError(
            "Nobody cancelled this command; say completed or failed.",
            code="command_not_cancelled",
        )
    except CommandRefusedError as refusal:
        _keep_refused(device, execution, report, refusal)
        raise


def _keep_refused(
    device: Device, execution: JobExecution, report: CommandReport, refusal: CommandRefusedError
) -> None:
    audit.record_once(
        f"late report {execution.execution_id} {report.attempt} {report.status}",
        event=AuditEvent.LATE_REPORT_REFUSED,
        actor=device,
        target=execution.job,
        description=f"{report.status}: {refusal}"[:500],
        metadata={
            "command_id": str(execution.execution_id),
            "status": execution.status,
            "attempt": execution.attempt,
            "report": dict(report.told),
        },
        outcome=Outcome.DENIED,
        severity=Severity.WARNING,
    )


def _settled(device: Device, command_id: UUID, now: datetime) -> JobExecution:
    """The command as it is once time has done its part."""
    execution = own_command(device, command_id)
    if execution.due_at is not None and execution.due_at <= now:
        end_due_executions(now, pk=execution.pk)
        seen: Any = JobExecution.objects.with_status(now).select_related("job")
        execution = seen.get(pk=execution.pk)
        # A sweep that has it locked is just storing what is true already.
        execution.status = execution.current_status
    return execution


def _refuse_other_attempt(execution: JobExecution, attempt: int | None) -> None:
    if attempt is not None and attempt != execution.attempt:
        raise CommandRefusedError(
            f"This command is at attempt {execution.attempt}, not {attempt}.",
            code="stale_attempt",
        )


def own_command(device: Device, command_id: UUID) -> JobExecution:
    """Raises UnknownCommandError when it is not there, or another device's."""
    execution = (
        JobExecution.objects.filter(execution_id=command_id, device=device)
        .select_related("job")
        # Large, and of no use here.
        .defer("result", "job__payload", "job__target", "job__description", "job__result")
        .first()
    )
    if execution is None:
        raise UnknownCommandError("You have no such command.")
    return execution
