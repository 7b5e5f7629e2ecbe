"""Check-ins by the thousand, through the real server, with processes killed meanwhile.

What was acknowledged is there afterwards: every check, and every change of a status.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import psutil
import pytest
from django.db import connection, transaction
from django.utils import timezone

from devices.enums import LifecycleState
from devices.models import Device, HealthCheck, StatusChange
from devices.tests.factories import make_keys
from homepot.bulk import insert_rows
from homepot.sweeps import sweep_states
from homepot.testing.postgres import restart
from homepot.testing.processes import (
    HOST,
    free_port,
    manage,
    remember_commits,
    serve,
    wait_until,
)
from sites.tests.factories import make_site

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

DEVICES = 20_000


@pytest.fixture
def fleet() -> None:
    """20,000 active devices; the key of each is "hpd_" and its id."""
    site = make_site()
    ids = [f"till-{number}" for number in range(DEVICES)]
    columns = (
        *("site", "device_id", "name", "device_type", "status", "status_reason"),
        *("status_since", "lifecycle_state", "mac_address", "firmware_version", "config"),
        *("config_version", "desired_config_version", "permissions", "bad_checks", "is_active"),
        *("is_simulated", "created_at", "updated_at"),
    )
    devices = [
        Device(site=site, device_id=name, name=name, lifecycle_state=LifecycleState.ACTIVE)
        for name in ids
    ]
    with transaction.atomic():
        for device in devices:
            device.updated_at = device.created_at
        rows = [[getattr(device, name) for name in columns] for device in devices]
        for pk, device in zip(insert_rows(Device, columns, rows), devices, strict=True):
            device.pk = pk
        make_keys(devices)
    remember_commits()


@dataclass
class Clients:
    """Connections that send check-ins until they are told to stop, and what came of them."""

    port: int
    acknowledged: set[str] = field(default_factory=set)
    devices: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    # When something else than a 200 came, or nothing at all.
    failed_at: list[float] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def send(self, client: int) -> None:
        own = random.Random(client)
        server = http.client.HTTPConnection(HOST, self.port, timeout=30)
        number = 0
        while not self.is_over.is_set():
            number += 1
            mark, device_id = f"{client}-{number}", f"till-{own.randrange(DEVICES)}"
            body = json.dumps({"endpoint": mark, "response_time_ms": own.randrange(500)})
            headers = {"X-Device-ID": device_id, "X-API-Key": f"hpd_{device_id}"}
            try:
                server.request("POST", "/api/v1/agent/check-in", body, headers)
                answer = server.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.answers[type(error).__name__] += 1
                self.failed_at.append(time.monotonic())
                server.close()
                time.sleep(0.05)
                continue
            self.answers[str(answer.status)] += 1
            if answer.status == 200:
                self.acknowledged.add(mark)
                self.devices.add(device_id)
            else:
                self.failed_at.append(time.monotonic())
                time.sleep(0.05)  # as the answer asks, in small
        server.close()

    def run(self, count: int, seconds: float, *events: tuple[float, object]) -> None:
        """Send from `count` connections; each of `events` is a time and what happens then."""
        threads = [threading.Thread(target=self.send, args=[number]) for number in range(count)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for at, happen in events:
            time.sleep(max(0, start + at - time.monotonic()))
            happen()  # type: ignore[operator]
        time.sleep(max(0, start + seconds - time.monotonic()))
        self.is_over.set()
        for thread in threads:
            thread.join()

    def check_that_all_is_there(self) -> None:
        stored = set(HealthCheck.objects.values_list("endpoint", flat=True))
        assert self.acknowledged - stored == set()
        # All were healthy, so each device flipped once, at its first check-in.
        flips = Counter(StatusChange.objects.values_list("device__device_id", flat=True))
        assert self.devices - set(flips) == set()
        assert set(flips.values()) == {1}


@pytest.fixture
def clients(fleet: None, request):
    port, workers = free_port(), getattr(request, "param", 2)
    # Nobody falls silent while this runs.
    options = {"DEVICES__CHECK_IN_SECONDS": "3600", "DATABASE__POOL_SIZE": "4"}
    with serve(port, "--workers", str(workers), **options) as server:
        clients = Clients(port)
        clients.server = server  # type: ignore[attr-defined]
        yield clients


def test_steady_load_is_taken_without_an_error(clients):
    # SQLite has one writer at a time; nobody waits in vain for it.
    count, seconds = (16, 60) if connection.vendor == "postgresql" else (8, 30)
    clients.run(count, seconds)
    assert set(clients.answers) == {"200"}, clients.answers
    assert len(clients.acknowledged) > seconds
    clients.check_that_all_is_there()


def kill_a_worker(server: int) -> None:
    family = psutil.Process(server).children(recursive=True)
    busiest = max(family, key=lambda process: process.cpu_times().user)
    busiest.kill()


def kill_a_backend() -> None:
    """PostgreSQL answers the death of one backend by a restart of all, as after a crash."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() LIMIT 1"
        )
        (pid,) = cursor.fetchone()
    connection.close()
    if not psutil.pid_exists(pid) or "postgres" not in psutil.Process(pid).name():
        pytest.skip("the server's processes run on another machine")
    os.kill(pid, signal.SIGKILL)


def test_kills_lose_nothing_that_was_acknowledged(clients):
    events: list[tuple[float, object]] = [
        (5, lambda: kill_a_worker(clients.server.pid)),
    ]
    if connection.vendor == "postgresql":
        events.append((12, kill_a_backend))
    clients.run(16 if connection.vendor == "postgresql" else 8, 25, *events)

    connection.close()
    assert len(clients.acknowledged) > 25
    assert set(clients.answers) - {"200"} != set(), "nobody noticed a kill"
    clients.check_that_all_is_there()


@pytest.mark.parametrize("clients", [3], indirect=True)
def test_restarts_of_postgresql_are_outlived_and_lose_nothing(clients):
    """A short one, and one after which a pause that doubles would go on for long."""
    folder = connection.settings_dict["HOST"]
    if connection.vendor != "postgresql" or os.environ.get("TEST_DATABASE_URL"):
        pytest.skip("only the run's own server is restarted")
    processes = psutil.Process(clients.server.pid).children(recursive=True)
    spells: list[tuple[float, float]] = []
    readiness: list[tuple[float, int, float]] = []

    def restart_for(seconds: float) -> None:
        connection.close()
        gone_at = time.monotonic()
        restart(folder, away_seconds=seconds)
        spells.append((gone_at, time.monotonic()))

    def watch() -> None:
        while not clients.is_over.wait(0.1):
            began = time.monotonic()
            server = http.client.HTTPConnection(HOST, clients.port, timeout=30)
            server.request("GET", "/readyz")
            status = server.getresponse().status
            server.close()
            readiness.append((began, status, time.monotonic() - began))

    with manage("run_worker", DEVICES__CHECK_IN_SECONDS="3600") as worker:
        wait_until(lambda: not any(state.is_overdue for state in sweep_states(timezone.now())))
        watcher = threading.Thread(target=watch)
        watcher.start()
        clients.run(16, 47, (5, lambda: restart_for(4)), (17, lambda: restart_for(12)))
        watcher.join()
        assert worker.poll() is None

    clients.check_that_all_is_there()
    assert len(clients.acknowledged) > 45
    assert psutil.Process(clients.server.pid).children(recursive=True) == processes
    ends = [*(gone_at for gone_at, _ in spells[1:]), math.inf]
    for (gone_at, back_at), end in zip(spells, ends, strict=True):
        served_again = max(at for at in clients.failed_at if gone_at < at < end) - back_at
        ready_again = min(at for at, status, _ in readiness if at > back_at and status == 200)
        assert (served_again < 5, ready_again - back_at < 5) == (True, True)
        # Before, what was found a moment ago may still be told.
        told = {status for at, status, _ in readiness if gone_at + 1.5 < at < back_at - 0.5}
        assert told == {503}
        took = [seconds for at, _, seconds in readiness if gone_at < at < back_at]
        assert max(took) < 2.5
