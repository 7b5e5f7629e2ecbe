"""Jobs for 40,000 devices: how long each change takes, and how many reports a second come in.

`pytest -s` shows the figures.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import psutil
import pytest
from django.db import connection
from django.utils import timezone

from devices.models import Device
from devices.tests.factories import make_fleet, make_keys
from homepot.testing.figures import show, took
from homepot.testing.processes import HOST, free_port, remember_commits, serve
from jobs import services
from jobs.enums import ExecutionStatus, JobAction, JobPriority
from jobs.models import Job, JobExecution
from jobs.services.offers import LEASE
from jobs.targets import Target
from jobs.tests.consistency import assert_consistent

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SITES, AT_EACH = 40, 1000
DEVICES = SITES * AT_EACH
UPDATE: dict[str, Any] = {
    "actor": None,
    "action": JobAction.UPDATE_CONFIG,
    "priority": JobPriority.NORMAL,
    "collapse_key": "prices",
}
CLIENTS = 16
SECONDS = 20


@pytest.fixture
def fleet() -> list[Device]:
    return [device for _ in range(SITES) for device in make_fleet(AT_EACH)]


def test_changes_of_a_job_for_40_000_devices(fleet):
    everybody = Target(segment="all")
    create = partial(services.create_job, target=everybody, **UPDATE)
    later = timezone.now() + timedelta(hours=1)
    scheduled = create(config_version="2", scheduled_at=later)

    # Each is one transaction, but for what time ends, which is many.
    seconds = {
        "create": took("create", partial(create, config_version="1")),
        "release": took(
            "release, superseding as many", partial(services.release_job, scheduled.pk, now=later)
        ),
        "supersede": took("create, superseding as many", partial(create, config_version="3")),
    }
    newest = Job.objects.latest("pk")
    half = newest.executions.filter(device__in=fleet[: DEVICES // 2])
    now = timezone.now()
    half.update(
        status=ExecutionStatus.SENT,
        attempt=1,
        sent_at=now,
        lease_until=now + LEASE,
        offer_at=now + LEASE,
    )
    Job.objects.filter(pk=newest.pk).update(status="sent")
    seconds["cancel"] = took(
        "cancel, half of it sent", partial(services.cancel_job, job=newest, actor=None)
    )

    assert list(Job.objects.order_by("pk").values_list("superseded", "cancelled", "open")) == [
        (DEVICES, 0, 0),
        (DEVICES, 0, 0),
        (0, DEVICES // 2, DEVICES // 2),
    ]
    assert_consistent()
    assert seconds["create"] < 10
    if connection.vendor == "sqlite":
        # Nobody else writes meanwhile.
        assert max(seconds.values()) < 3, seconds


def processor_seconds(server: int) -> float:
    """What the server's processes have used."""
    family = [psutil.Process(server), *psutil.Process(server).children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in family)


def test_reports_on_one_job(fleet):
    make_keys(fleet)
    remember_commits()
    job = services.create_job(
        target=Target(segment="all"), actor=None, action=JobAction.PING, priority=20
    )
    now = timezone.now()
    # As if each had fetched it.
    job.executions.update(
        status=ExecutionStatus.SENT, attempt=1, sent_at=now, lease_until=now + LEASE
    )
    Job.objects.filter(pk=job.pk).update(status="sent")
    commands = list(job.executions.values_list("device__device_id", "execution_id"))
    random.Random(1).shuffle(commands)
    answers: list[Counter[str]] = [Counter() for _ in range(CLIENTS)]
    is_over = threading.Event()

    def report(port: int, own: list[tuple[str, Any]], answers: Counter[str]) -> None:
        server = http.client.HTTPConnection(HOST, port, timeout=30)
        for device_id, command_id in own:
            headers = {"X-Device-ID": device_id, "X-API-Key": f"hpd_{device_id}"}
            headers["Content-Type"] = "application/json"
            path = f"/api/v1/devices/{command_id}/status"
            server.request("PUT", path, json.dumps({"status": "completed"}), headers)
            answer = server.getresponse()
            answer.read()
            answers[str(answer.status)] += 1
            if is_over.is_set():
                break
        server.close()

    port = free_port()
    with serve(port, "--workers", "2", DEVICES__CHECK_IN_SECONDS="3600") as server:
        used = processor_seconds(server.pid)
        threads = [
            threading.Thread(target=report, args=[port, commands[n::CLIENTS], answers[n]])
            for n in range(CLIENTS)
        ]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        is_over.wait(SECONDS)
        is_over.set()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - started
        used = processor_seconds(server.pid) - used

    answered = sum(answers, Counter())
    rate = answered.total() / seconds
    show(f"{rate:.0f} reports/s on one job of {DEVICES} devices")
    show(f"{1000 * used / answered.total():.1f} ms of processor time of the web server for each")
    assert set(answered) == {"200"}, answered
    job.refresh_from_db()
    assert job.completed == answered["200"]
    assert JobExecution.objects.filter(status=ExecutionStatus.COMPLETED).count() == job.completed
    assert_consistent()
    assert rate > 50
