"""Whatever happens to jobs, in whatever order, the database holds what the model says.

Hypothesis makes up stories: orders, fetches, reports on time, late, twice and of an earlier
attempt, cancellations, devices that leave, sweeps that come or do not, and time that passes.
After each step all jobs, executions and audit rows are compared with those of `model.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from audit.models import AuditLog
from devices import services as device_services
from devices.enums import LifecycleState
from devices.models import Device
from devices.tests.factories import make_device
from homepot.errors import DomainError
from jobs import services, sweeps
from jobs.enums import ExecutionStatus, JobPriority
from jobs.models import Job, JobExecution
from jobs.services import offers
from jobs.targets import Target
from jobs.tests import model
from sites.models import Site
from sites.tests.factories import make_site

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NAMES = ("till", "kiosk", "door")
LACKING = "door"
# Few, so that a queue is often longer.
OFFERED_AT_ONCE = 3
LIVELINESS = {"sent": 0, "acknowledged": 1, "queued": 2}
# How a device leaves, and what it is then.
LEAVING = {
    "suspended": "suspended",
    "retired": "retired",
    "transferred": "active",
    "re_enrolled": "active",
}


class Clock:
    now = START


numbers = st.integers(0, 9)
# What an agent sends with a report, counted from what it should be; None: it does not know.
attempts = st.sampled_from([0, 0, 0, 0, None, None, -1, 1])


def attempt_told(execution: model.Execution, difference: int | None) -> int | None:
    return None if difference is None else max(0, execution.attempt + difference)


def has_jobs(story: Story) -> bool:
    return bool(story.pks)


def has_open_work(story: Story) -> bool:
    return not all(execution.is_final for execution in story.fleet.executions)


def has_news(story: Story) -> bool:
    """Whether some device has something to fetch."""
    return any(e.may_be_offered(Clock.now) or e.is_cancelled for e in story.fleet.executions)


class Story(RuleBasedStateMachine):
    """Each rule does one thing twice: with the services and with the model."""

    def __init__(self) -> None:
        super().__init__()
        Clock.now = START
        self.fleet = model.Fleet(
            states=dict.fromkeys(NAMES, "active"),
            lacking={LACKING},
            offered_at_once=OFFERED_AT_ONCE,
        )
        self.devices = {device.name: device for device in Device.objects.all()}
        self.pks: dict[model.Job, int] = {}
        self.transaction = transaction.atomic()
        self.transaction.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    def both(self, expected: Callable[[], Any], done: Callable[[], Any]) -> tuple[Any, Any]:
        """What the model answers and what the services answer; both refuse alike, or neither."""
        try:
            answer = expected()
        except model.Refused as error:
            refusal = str(error)
        else:
            return answer, done()
        with pytest.raises(DomainError) as refused:
            done()
        assert refused.value.code == refusal
        return None, None

    # What operators do.

    @rule(
        names=st.sampled_from([NAMES, NAMES, NAMES[:2], NAMES[:1], NAMES[1:2]]),
        action=st.sampled_from(["ping", "ping", "update_config", "restart"]),
        priority=st.sampled_from(list(JobPriority)),
        ttl=st.sampled_from([90, 300, 900, 900]),
        timeout=st.sampled_from([45, 120]),
        max_attempts=st.sampled_from([3, 2, 1]),
        collapse_key=st.sampled_from(["", "prices", "prices"]),
        delay=st.sampled_from([0, 0, 30, 60]),
    )
    def order(
        self, names: tuple[str, ...], ttl: int, timeout: int, delay: int, action: str, **fields: Any
    ) -> None:
        fields["action"] = action
        version = f"v{len(self.pks)}" if action == "update_config" else ""
        job = model.Job(
            number=len(self.pks),
            version=version,
            ttl=ttl * SECOND,
            timeout=timeout * SECOND,
            queued_at=Clock.now + delay * SECOND,
            is_pending=delay > 0,
            **fields,
        )
        _, made = self.both(
            lambda: self.fleet.order(job, names, Clock.now, "job_created"),
            lambda: services.create_job(
                target=Target(device_ids=[self.devices[name].device_id for name in names]),
                actor=None,
                scheduled_at=Clock.now + delay * SECOND,
                config_version=version,
                ttl_seconds=ttl,
                timeout_seconds=timeout,
                **fields,
            ),
        )
        if made:
            self.pks[job] = made.pk

    @precondition(has_jobs)
    @rule(
        what=st.sampled_from(["cancel", "retry", "device"]),
        number=numbers,
        how=st.sampled_from(sorted(LEAVING)),
    )
    def interfere(self, what: str, number: int, how: str) -> None:
        if what == "device":
            self.go_or_come_back(self.some_device(number), how)
        elif what == "retry":
            self.retry(self.some_job(number))
        else:
            self.cancel(self.some_job(number))

    def cancel(self, job: model.Job) -> None:
        self.both(
            lambda: self.fleet.cancel(job, Clock.now),
            lambda: services.cancel_job(job=self.stored(job), actor=None),
        )

    def retry(self, old: model.Job) -> None:
        new = model.Job(
            number=len(self.pks),
            queued_at=Clock.now,
            is_pending=False,
            collapse_key="",
            **{name: getattr(old, name) for name in model.RETRIED},
        )
        _, made = self.both(
            lambda: self.fleet.order(
                new, self.fleet.devices_to_retry(old, Clock.now), Clock.now, "job_retried"
            ),
            lambda: services.retry_job(job=self.stored(old), actor=None),
        )
        if made:
            self.pks[new] = made.pk

    def go_or_come_back(self, name: str, how: str) -> None:
        device = Device.objects.get(pk=self.devices[name].pk)
        if self.fleet.states[name] == "suspended":
            self.fleet.states[name] = "active"
            device_services.resume_device(device=device, actor=None)
            return
        if self.fleet.states[name] == "retired":
            how = "re_enrolled"
        self.fleet.leave(name, how, LEAVING[how], Clock.now)
        if how == "suspended":
            device_services.suspend_device(device=device, actor=None)
        elif how == "retired":
            device_services.retire_device(device=device, actor=None)
        elif how == "transferred":
            site = Site.objects.exclude(pk=device.site_id).get()
            device_services.transfer_device(device=device, site=site, actor=None)
        else:
            device_services.re_enrol_device(device=device, actor=None)
            # As the first check-in of the new machine does.
            Device.objects.filter(pk=device.pk).update(
                lifecycle_state=LifecycleState.ACTIVE, last_seen=Clock.now
            )

    # What devices do.

    @precondition(has_news)
    @rule(number=numbers)
    def fetch(self, number: int) -> None:
        self.fetch_at(self.some_device(number))

    def fetch_at(self, name: str) -> None:
        offered, stops = self.fleet.fetch(name, Clock.now)
        work = services.offer_work(self.devices[name].pk, now=Clock.now)
        ids = self.command_ids()
        assert [(c.command_id, c.attempt, c.lease_until) for c in work.commands] == [
            (ids[e], e.attempt, e.lease_until) for e in offered
        ]
        assert work.cancelled == [ids[e] for e in stops]

    @precondition(has_jobs)
    @rule(number=numbers, attempt=attempts)
    def acknowledge(self, number: int, attempt: int | None) -> None:
        execution = self.some_execution(number)
        self.begin(execution, attempt)

    @precondition(has_jobs)
    @rule(
        number=numbers,
        status=st.sampled_from(["completed", "completed", "failed", "cancelled"]),
        code=st.sampled_from(["", "no_paper"]),
        attempt=attempts,
    )
    def report(self, number: int, status: str, code: str, attempt: int | None) -> None:
        self.tell(self.some_execution(number), status, code, attempt)

    @precondition(has_news)
    @rule(number=numbers, finished=st.integers(0, 3))
    def do_as_told(self, number: int, finished: int) -> None:
        """Fetch, begin all of it, stop what is to stop, and finish some."""
        name = self.some_device(number)
        self.fetch_at(name)
        for execution in self.fleet.work_of(name):
            if execution.is_cancelled:
                self.tell(execution, "cancelled", "", 0)
            elif execution.status == "sent":
                self.begin(execution, 0)
        for execution in self.fleet.work_of(name)[:finished]:
            self.tell(execution, "completed", "", 0)

    def begin(self, execution: model.Execution, attempt: int | None) -> None:
        told = attempt_told(execution, attempt)
        self.both(
            lambda: self.fleet.acknowledge(execution, told, Clock.now),
            lambda: services.acknowledge(
                device=self.devices[execution.device],
                command_id=self.command_ids()[execution],
                attempt=told,
            ),
        )

    def tell(self, execution: model.Execution, status: str, code: str, attempt: int | None) -> None:
        code = code if status == "failed" else ""
        told = attempt_told(execution, attempt)
        report = services.CommandReport(
            status=ExecutionStatus(status), error_code=code, attempt=told
        )
        self.both(
            lambda: self.fleet.report(execution, status, code, told, Clock.now),
            lambda: services.report_outcome(
                device=self.devices[execution.device],
                command_id=self.command_ids()[execution],
                report=report,
            ),
        )

    # What time does.

    @precondition(has_open_work)
    @rule(seconds=st.sampled_from([60, 30, 15, 1, 90]))
    def wait(self, seconds: int) -> None:
        Clock.now += seconds * SECOND

    @precondition(has_open_work)
    @rule(is_release=st.booleans())
    def sweep(self, is_release: bool) -> None:
        if is_release:
            assert sweeps.release_scheduled_jobs(Clock.now) == self.fleet.release_due(Clock.now)
        else:
            ended = self.fleet.settle(self.fleet.executions, Clock.now)
            assert sweeps.end_overdue_executions(Clock.now) == ended

    # What is compared.

    @invariant()
    def executions_agree(self) -> None:
        assert [
            (pk, name, *values, cancelled_at is not None)
            for pk, name, *values, cancelled_at in JobExecution.objects.with_status(Clock.now)
            .order_by("pk")
            .values_list(
                *("job_id", "device__name", "status", "attempt", "error_code", "current_status"),
                *("due_at", "finished_at", "cancel_requested_at"),
            )
        ] == [
            (
                self.pks[e.job],
                e.device,
                e.status,
                e.attempt,
                e.error_code,
                e.seen_status(Clock.now),
                None if e.is_final else e.end_by_time()[0],
                e.finished_at,
                e.is_cancelled,
            )
            for e in self.fleet.executions
        ]

    @invariant()
    def jobs_agree(self) -> None:
        columns = ("status", "result", "total", "open", *sorted(model.FINAL))
        seen: dict[int, list[str]] = {}
        told = AuditLog.objects.exclude(job=None).order_by("pk")
        for pk, event in told.values_list("job_id", "event_type"):
            seen.setdefault(pk, []).append(event)
        assert {
            pk: (*values, started_at is not None, completed_at is not None, seen[pk])
            for pk, *values, started_at, completed_at in Job.objects.values_list(
                "pk", *columns, "started_at", "completed_at"
            )
        } == {
            self.pks[job]: (
                *(job.status, job.result, len(job.executions)),
                *(job.counts[name] for name in ("open", *sorted(model.FINAL))),
                *("job_started" in job.events, job.status in model.FINAL, job.events),
            )
            for job in self.fleet.jobs
        }

    @invariant()
    def devices_agree(self) -> None:
        columns = ("lifecycle_state", "desired_config_version", "config_version")
        assert {name: values for name, *values in Device.objects.values_list("name", *columns)} == {
            name: [state, self.fleet.desired.get(name, ""), self.fleet.reported.get(name, "")]
            for name, state in self.fleet.states.items()
        }

    def some_job(self, number: int) -> model.Job:
        """The latest most often."""
        return self.fleet.jobs[-1 - number % len(self.fleet.jobs)]

    def some_execution(self, number: int) -> model.Execution:
        """Most often one that its device knows of and has not finished."""
        liveliest = sorted(
            reversed(self.fleet.executions), key=lambda e: LIVELINESS.get(e.status, 3)
        )
        return liveliest[number % len(liveliest)]

    def some_device(self, number: int) -> str:
        """Most often one that waits for work."""
        waiting = [e.device for e in self.fleet.executions if e.may_be_offered(Clock.now)]
        return sorted(NAMES, key=waiting.count, reverse=True)[number % len(NAMES)]

    def stored(self, job: model.Job) -> Job:
        return Job.objects.get(pk=self.pks[job])

    def command_ids(self) -> dict[model.Execution, Any]:
        ids = JobExecution.objects.order_by("pk").values_list("execution_id", flat=True)
        return dict(zip(self.fleet.executions, ids, strict=True))


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    make_site()
    site = make_site()
    for name in NAMES:
        grants = {"filesystem_access": True} if name == LACKING else {}
        make_device(site=site, name=name, permissions=grants, last_seen=START)
    monkeypatch.setattr(timezone, "now", lambda: Clock.now)
    monkeypatch.setattr(offers, "OFFERED_AT_ONCE", OFFERED_AT_ONCE)


def tell(stories: int, steps: int) -> None:
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            derandomize=True,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_database_agrees_with_the_model(world):
    tell(stories=14, steps=45)


@pytest.mark.slow
def test_database_agrees_with_the_model_in_many_stories(world):
    tell(stories=200, steps=60)
