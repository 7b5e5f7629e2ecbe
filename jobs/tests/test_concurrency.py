"""Many at once: each thing happens once, and what is stored fits together."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from audit.models import AuditLog
from devices import services as device_services
from devices.models import Device
from devices.tests.factories import make_device, make_fleet
from homepot import transactions
from homepot.errors import DomainError
from homepot.testing.threads import run_together
from jobs import services, sweeps
from jobs.enums import ExecutionStatus, JobAction, JobPriority
from jobs.models import Job, JobExecution
from jobs.services.offers import LEASE
from jobs.targets import Target
from jobs.tests.consistency import assert_consistent
from jobs.tests.factories import execution_of, order_job
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def deadlocks_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """What got into each other's way is otherwise tried again."""
    monkeypatch.setattr(transactions, "ATTEMPTS", 1)


def outcome_of(do: Callable[[], Any]) -> str:
    """The word of the refusal, or "done"."""
    try:
        do()
    except DomainError as error:
        return error.code
    return "done"


def say(execution: JobExecution, word: str, **fields: Any) -> Callable[[], Any]:
    report = services.CommandReport(status=ExecutionStatus(word), **fields)
    return partial(
        services.report_outcome,
        device=execution.device,
        command_id=execution.execution_id,
        report=report,
    )


def begin(execution: JobExecution) -> Callable[[], Any]:
    return partial(services.acknowledge, device=execution.device, command_id=execution.execution_id)


def test_each_attempt_is_offered_once():
    device = make_device(last_seen=timezone.now())
    for number in range(40):
        order_job(device, priority=list(JobPriority)[number % 4], max_attempts=2)
    now = timezone.now()

    offered: Counter[tuple[Any, int]] = Counter()
    for round_number in range(3):
        fetch = partial(services.offer_work, device.pk, now=now + round_number * LEASE)
        for work in run_together(*[fetch] * 16):
            offered.update((command.command_id, command.attempt) for command in work.commands)

    ids = set(JobExecution.objects.values_list("execution_id", flat=True))
    assert offered == Counter((command_id, attempt) for command_id in ids for attempt in (1, 2))
    assert_consistent()


def test_one_of_many_reports_wins():
    device = make_device()
    for _ in range(3):
        race(device, order_job(device))
    assert_consistent()


def race(device: Device, job: Job) -> None:
    """Begin, complete, fail and cancel one command, four or eight times each at once."""
    services.offer_work(device.pk, now=timezone.now())
    execution = execution_of(job)
    words = ["completed", "failed"] * 4
    cancel = partial(services.cancel_job, job=job, actor=None)
    does = [begin(execution)] * 4 + [say(execution, word) for word in words] + [cancel] * 4

    outcomes = run_together(*[partial(outcome_of, do) for do in does])

    execution.refresh_from_db()
    reports = set(zip(words, outcomes[4:12], strict=True))
    # Who said the same as the winner is answered alike.
    assert reports == {
        (word, "done" if word == execution.status else "command_ended") for word in words
    }
    assert set(outcomes[:4]) <= {"done", "command_ended", "command_cancelled"}
    assert set(outcomes[12:]) <= {"done", "job_ended"}
    refused = AuditLog.objects.filter(event_type="late_report_refused", job_id=job.pk)
    assert refused.count() == len(set(words) - {execution.status})


def test_device_that_leaves_is_given_nothing():
    site = make_site()
    devices = [make_device(site=site, last_seen=timezone.now()) for _ in range(8)]

    def order() -> None:
        for _ in range(6):
            outcome_of(
                partial(
                    services.create_job,
                    target=Target(site=site),
                    actor=None,
                    action=JobAction.UPDATE_CONFIG,
                    config_version="9",
                    priority=JobPriority.NORMAL,
                )
            )

    def suspend(some: list[Device]) -> None:
        for device in some:
            device_services.suspend_device(device=device, actor=None)

    run_together(*[order] * 4, *[partial(suspend, devices[n::4]) for n in range(4)])

    assert not JobExecution.objects.open().exists()
    assert_consistent()


def test_of_jobs_with_one_collapse_key_the_last_stays():
    devices = [make_device() for _ in range(4)]
    in_a_moment = timezone.now() + SECOND
    fields = {"collapse_key": "prices", "action": JobAction.UPDATE_CONFIG, "config_version": "9"}
    for round_number in range(4):
        scheduled = [
            order_job(*devices[n % 3 :], scheduled_at=in_a_moment + round_number * SECOND, **fields)
            for n in range(8)
        ]
        now = in_a_moment + round_number * SECOND
        run_together(
            *[partial(services.release_job, job.pk, now=now) for job in scheduled],
            *[partial(order_job, *devices[n % 2 :], **fields) for n in range(4)],
            *[partial(services.offer_work, device.pk, now=now) for device in devices[:2]],
        )
        waiting = JobExecution.objects.filter(status=ExecutionStatus.QUEUED)
        assert not Job.objects.filter(status="pending").exists()
        assert set(Counter(waiting.values_list("device", flat=True)).values()) <= {1}
        assert_consistent()


def test_two_sweeps_end_each_execution_once():
    fleet = make_fleet(1000)
    order_job(*fleet[:700], ttl_seconds=60)
    order_job(*fleet[700:], ttl_seconds=60)
    now = timezone.now() + 61 * SECOND

    def sweep() -> int:
        count = 0
        while JobExecution.objects.open().exists():
            count += sweeps.end_overdue_executions(now)
        return count

    assert sum(run_together(sweep, sweep)) == 1000
    assert [job.expired for job in Job.objects.order_by("pk")] == [700, 300]
    assert_consistent()


def test_equal_requests_at_once_make_one_job():
    device = make_device()
    key = make_api_key(make_user(role=Role.OPERATOR))

    def send() -> Any:
        api = APIClient()
        api.credentials(HTTP_X_API_KEY=key)
        body = {"action": "ping", "device_ids": [device.device_id]}
        return api.post("/api/v1/jobs/jobs", body, headers={"Idempotency-Key": "once"})

    answers = run_together(*[send] * 8)

    assert {answer.status_code for answer in answers} == {201}
    assert len({str(sorted(answer.json().items())) for answer in answers}) == 1
    assert ["Idempotency-Replayed" in answer for answer in answers].count(False) == 1
    assert Job.objects.count() == 1
    assert_consistent()


def test_clicks_at_once_on_one_preview_make_one_job():
    device = make_device()
    browser = Client()
    browser.force_login(make_user(role=Role.OPERATOR))
    sent = {"action": "ping", "priority": "20", "ttl_seconds": "3600", "timeout_seconds": "600"}
    add = "/admin/jobs/job/add/"
    preview = browser.post(add, {**sent, "device": device.pk, "step": "preview"})
    confirmed = {name: str(value) for name, value in preview.context["hidden"]}

    def click() -> Any:
        again = Client()
        again.cookies = browser.cookies
        return again.post(add, confirmed | {"step": "create"})

    answers = run_together(*[click] * 8)

    job = Job.objects.get()
    assert [answer.headers.get("Location") for answer in answers] == [
        f"/admin/jobs/job/{job.pk}/change/"
    ] * 8
    assert AuditLog.objects.filter(event_type="job_created").count() == 1
    assert_consistent()


def everything_at_once(steps: int) -> None:
    """Whatever staff, devices, workers do, in 8 threads: only refusals are raised."""
    sites = [make_site(), make_site()]
    devices = [make_device(site=sites[n % 2], last_seen=timezone.now()) for n in range(6)]

    def live(number: int) -> Counter[str]:
        own = random.Random(number)
        done: Counter[str] = Counter()
        for _ in range(steps):
            word = own.choice(sorted(DOES))
            done[f"{word} {outcome_of(partial(DOES[word], own, own.choice(devices)))}"] += 1
        return done

    done: Counter[str] = sum(run_together(*[partial(live, n) for n in range(8)]), Counter())
    assert {f"{word} done" for word in DOES} <= set(done), done
    assert_consistent()


def _order(own: random.Random, device: Device) -> None:
    target = own.choice([Target(device=device), Target(site=device.site), Target()])
    services.create_job(
        target=target,
        actor=None,
        action=own.choice([JobAction.PING, JobAction.UPDATE_CONFIG]),
        config_version=own.choice("123"),
        priority=own.choice(list(JobPriority)),
        collapse_key=own.choice(["", "a", "b"]),
        ttl_seconds=own.choice([1, 60]),
        timeout_seconds=own.choice([1, 60]),
        scheduled_at=own.choice([None, timezone.now() + 0.2 * SECOND]),
    )


def _fetch_and_work(own: random.Random, device: Device) -> None:
    for command in services.offer_work(device.pk, now=timezone.now()).commands:
        told = {"device": device, "command_id": command.command_id}
        status = ExecutionStatus(own.choice(["completed", "failed"]))
        does = [
            partial(services.acknowledge, **told, attempt=command.attempt),
            partial(services.report_outcome, **told, report=services.CommandReport(status)),
        ]
        for do in does[: own.randrange(3)]:
            outcome_of(do)


def _report_anything(own: random.Random, device: Device) -> None:
    execution = own.choice(
        JobExecution.objects.filter(device=device).order_by("-pk")[:20] or [None]
    )
    if execution:
        say(execution, own.choice(["completed", "failed", "cancelled"]))()


def _cancel(own: random.Random, device: Device) -> None:
    if jobs := list(Job.objects.filter(completed_at=None).order_by("-pk")[:20]):
        services.cancel_job(job=own.choice(jobs), actor=None)


def _retry(own: random.Random, device: Device) -> None:
    if jobs := list(Job.objects.filter(failed__gt=0).order_by("-pk")[:20]):
        services.retry_job(job=own.choice(jobs), actor=None)


def _transfer(own: random.Random, device: Device) -> None:
    site = own.choice(Site.objects.all())
    device_services.transfer_device(device=Device.objects.get(pk=device.pk), site=site, actor=None)


DOES: dict[str, Callable[[random.Random, Device], Any]] = {
    "order": _order,
    "work": _fetch_and_work,
    "report": _report_anything,
    "cancel": _cancel,
    "retry": _retry,
    "transfer": _transfer,
    "suspend": lambda own, device: device_services.suspend_device(device=device, actor=None),
    "resume": lambda own, device: device_services.resume_device(device=device, actor=None),
    "release": lambda own, device: sweeps.release_scheduled_jobs(timezone.now()),
    "end": lambda own, device: services.end_due_executions(timezone.now()),
}


def test_everything_at_once():
    everything_at_once(steps=50)


@pytest.mark.slow
def test_everything_at_once_for_long():
    everything_at_once(steps=1500)
