"""What jobs and executions do, in plain Python and without a database.

`test_state_machine.py` has this model and the services do the same things and compares them.
Nothing here knows of rows, locks or statements: it says what DESIGN of jobs promises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

LEASE = timedelta(seconds=60)
FINAL = {"completed", "failed", "cancelled", "expired", "superseded"}


# What a retry takes over from the job before it.
RETRIED = ("action", "version", "priority", "ttl", "timeout", "max_attempts")


class Refused(Exception):
    """What is asked for cannot be; its word is the `code` of the service's error."""


@dataclass(eq=False)
class Job:
    number: int
    action: str
    version: str
    priority: int
    ttl: timedelta
    timeout: timedelta
    max_attempts: int
    collapse_key: str
    queued_at: datetime
    is_pending: bool
    status: str = "queued"
    is_cancelled: bool = False
    executions: list[Execution] = field(default_factory=list)
    # Of the audit log, in order.
    events: list[str] = field(default_factory=list)
    result: dict | None = None

    @property
    def counts(self) -> Counter[str]:
        return Counter(e.status if e.is_final else "open" for e in self.executions)


@dataclass(eq=False)
class Execution:
    job: Job
    device: str
    number: int
    status: str = "queued"
    attempt: int = 0
    lease_until: datetime | None = None
    timeout_at: datetime | None = None
    is_cancelled: bool = False
    stop_by: datetime | None = None
    error_code: str = ""
    finished_at: datetime | None = None
    # Reports that were refused are told of once each.
    refused: set[tuple[int | None, str]] = field(default_factory=set)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def expires_at(self) -> datetime:
        return self.job.queued_at + self.job.ttl

    def end_by_time(self) -> tuple[datetime, str, str]:
        """When time alone ends it, and how."""
        if self.status == "acknowledged":
            assert self.timeout_at
            how = ("cancelled", "") if self.is_cancelled else ("failed", "timed_out")
            return (self.timeout_at, *how)
        if self.lease_until and self.is_cancelled:
            assert self.stop_by
            return (min(self.stop_by, self.expires_at), "cancelled", "")
        is_last = self.attempt >= self.job.max_attempts
        if self.lease_until and is_last and self.lease_until < self.expires_at:
            return (self.lease_until, "failed", "not_acknowledged")
        return (self.expires_at, "expired", "")

    def is_over(self, now: datetime) -> bool:
        return not self.is_final and self.end_by_time()[0] <= now

    def seen_status(self, now: datetime) -> str:
        """As readers see it, whether or not a sweep has been here."""
        return self.end_by_time()[1] if self.is_over(now) else self.status

    def end(self, status: str, code: str, at: datetime) -> None:
        assert not self.is_final, "one outcome"
        self.status, self.error_code, self.finished_at = status, code, at

    def let_time_end_it(self) -> None:
        at, status, code = self.end_by_time()
        self.end(status, code, at)

    def may_be_offered(self, now: datetime) -> bool:
        if self.is_cancelled or self.is_over(now):
            return False
        if self.status == "queued":
            return self.job.queued_at <= now
        return self.status == "sent" and self.lease_until is not None and self.lease_until <= now


@dataclass
class Fleet:
    """Devices by name, and all that they were told to do."""

    states: dict[str, str]
    # Those that granted nothing; restarts need a permission.
    lacking: set[str]
    offered_at_once: int
    jobs: list[Job] = field(default_factory=list)
    desired: dict[str, str] = field(default_factory=dict)
    reported: dict[str, str] = field(default_factory=dict)

    @property
    def executions(self) -> list[Execution]:
        return [execution for job in self.jobs for execution in job.executions]

    def work_of(self, device: str) -> list[Execution]:
        return [e for e in self.executions if e.device == device and not e.is_final]

    # What operators do.

    def order(self, job: Job, devices: Iterable[str], now: datetime, event: str) -> None:
        devices = list(devices)
        if not devices or any(self.states[device] != "active" for device in devices):
            raise Refused("no_target")
        self.jobs.append(job)
        for device in devices:
            execution = Execution(job, device, number=len(self.executions))
            job.executions.append(execution)
            if job.action == "restart" and device in self.lacking:
                execution.end("failed", "permission_missing", now)
        job.status = "pending" if job.is_pending else "queued"
        if not job.is_pending:
            self._begin_release(job, now)
        job.events.append(event)
        self._finish(job)

    def devices_to_retry(self, job: Job, now: datetime) -> list[str]:
        self.settle(job.executions, now)
        if job.status not in FINAL:
            raise Refused("job_not_ended")
        ended_badly = [e.device for e in job.executions if e.status in ("failed", "expired")]
        devices = [device for device in ended_badly if self.states[device] == "active"]
        if not devices:
            raise Refused("nothing_to_retry")
        return devices

    def cancel(self, job: Job, now: datetime) -> None:
        self.settle(job.executions, now)
        if job.status in FINAL:
            raise Refused("job_ended")
        if job.is_cancelled:
            return
        job.is_cancelled = True
        begun = [e for e in job.executions if e.status in ("sent", "acknowledged")]
        for execution in begun:
            execution.is_cancelled = True
            execution.stop_by = now + job.timeout
        if begun:
            job.events.append("job_cancel_requested")
        self._end([e for e in job.executions if e.status == "queued"], "cancelled", now)

    def leave(self, device: str, how: str, becomes: str, now: datetime) -> None:
        self.states[device] = becomes
        work = self.work_of(device)
        for execution in work:
            if execution.is_over(now):
                execution.let_time_end_it()
            else:
                execution.end("cancelled", f"device_{how}", now)
        self._finish_all(work)

    # What devices do.

    def fetch(self, device: str, now: datetime) -> tuple[list[Execution], list[Execution]]:
        """What it is told to do, in order, and what to stop."""
        while True:
            waiting = [e for e in self.work_of(device) if e.may_be_offered(now)]
            waiting.sort(key=lambda e: (-e.job.priority, e.number))
            offered = waiting[: self.offered_at_once]
            unreleased = {e.job: None for e in offered if e.job.status == "pending"}
            if not unreleased:
                break
            for job in sorted(unreleased, key=lambda job: (job.queued_at, job.number)):
                self.release(job, now)
        for execution in offered:
            execution.status = "sent"
            execution.attempt += 1
            execution.lease_until = now + LEASE
            if execution.job.status == "queued":
                execution.job.status = "sent"
        stops = [e for e in self.work_of(device) if e.is_cancelled]
        stops.sort(key=lambda e: (-e.job.priority, e.number))
        return offered, stops[: self.offered_at_once]

    def acknowledge(self, execution: Execution, attempt: int | None, now: datetime) -> None:
        self.settle([execution], now)
        if execution.is_final:
            raise Refused("command_ended")
        if attempt not in (None, execution.attempt):
            raise Refused("stale_attempt")
        if execution.is_cancelled:
            if execution.status == "sent":
                self._end([execution], "cancelled", now)
            raise Refused("command_cancelled")
        if execution.status == "queued":
            raise Refused("command_not_offered")
        if execution.status == "sent":
            execution.status = "acknowledged"
            execution.timeout_at = now + execution.job.timeout
            self._begin(execution.job)

    def report(
        self, execution: Execution, status: str, code: str, attempt: int | None, now: datetime
    ) -> None:
        self.settle([execution], now)
        is_same = status != "failed" or code == execution.error_code
        if execution.status == status and is_same:
            return
        if refusal := self._refusal(execution, status, attempt):
            if (attempt, status) not in execution.refused:
                execution.refused.add((attempt, status))
                execution.job.events.append("late_report_refused")
            raise Refused(refusal)
        if status != "cancelled":
            self._begin(execution.job)
        if status == "completed" and execution.job.version:
            self.reported[execution.device] = execution.job.version
        self._end([execution], status, now, code)

    def _refusal(self, execution: Execution, status: str, attempt: int | None) -> str:
        if execution.is_final:
            return "command_ended"
        if attempt not in (None, execution.attempt):
            return "stale_attempt"
        if execution.status == "queued":
            return "command_not_offered"
        if status == "cancelled" and not execution.is_cancelled:
            return "command_not_cancelled"
        return ""

    # What time does.

    def settle(self, executions: Iterable[Execution], now: datetime) -> int:
        over = [e for e in executions if e.is_over(now)]
        for execution in over:
            execution.let_time_end_it()
        self._finish_all(over)
        return len(over)

    def release_due(self, now: datetime) -> int:
        due = [job for job in self.jobs if job.status == "pending" and job.queued_at <= now]
        for job in sorted(due, key=lambda job: (job.queued_at, job.number)):
            self.release(job, now)
        return len(due)

    def release(self, job: Job, now: datetime) -> None:
        if job.status == "pending":
            self._begin_release(job, now)
            job.status = "queued"

    def _begin_release(self, job: Job, now: datetime) -> None:
        own = {e.device for e in job.executions if e.status == "queued" and not e.is_over(now)}
        if job.version:
            self.desired |= dict.fromkeys(own, job.version)
        if not job.collapse_key:
            return
        replaced = [
            e
            for e in self.executions
            if e.status == "queued"
            and e.device in own
            and e.job is not job
            and e.job.collapse_key == job.collapse_key
            and not e.is_over(now)
            and (
                e.job.status != "pending"
                or (e.job.queued_at, e.job.number) < (job.queued_at, job.number)
            )
        ]
        for older in {e.job: None for e in replaced}:
            older.events.append("job_superseded")
        self._end(replaced, "superseded", now)

    # What follows for jobs.

    def _begin(self, job: Job) -> None:
        if job.status in ("pending", "queued", "sent"):
            job.status = "acknowledged"
            job.events.append("job_started")

    def _end(self, executions: list[Execution], status: str, now: datetime, code: str = "") -> None:
        for execution in executions:
            execution.end(status, code, now)
        self._finish_all(executions)

    def _finish_all(self, executions: list[Execution]) -> None:
        for job in {e.job: None for e in executions}:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        counts = job.counts
        if counts["open"] or job.status in FINAL:
            return
        total = len(job.executions)
        if counts["completed"] and counts["completed"] + counts["superseded"] == total:
            status = "completed"
        elif job.is_cancelled or counts["cancelled"] + counts["superseded"] == total:
            status = "cancelled"
        elif counts["failed"] or job.status == "acknowledged":
            status = "failed"
        else:
            status = "expired"
        job.status = status
        job.events.append(f"job_{status}")
        failures = Counter(
            e.error_code or "unspecified" for e in job.executions if e.status == "failed"
        )
        job.result = {
            "total_devices": total,
            **{name: counts[name] for name in sorted(FINAL)},
            "failures": dict(failures),
        }
