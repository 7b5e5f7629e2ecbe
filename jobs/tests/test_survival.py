"""A job for a whole fleet, while the service is killed and a third of the devices are away.

Everything is real: web server, worker and database are processes, devices speak HTTP.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from audit.models import AuditLog
from devices.enums import LifecycleState
from devices.models import Device
from devices.simulation.chance import Chances
from devices.simulation.fleet import Fleet, make_member
from devices.simulation.registration import prepare_fleet
from devices.simulation.tally import Tally, TimedTransport
from homepot.testing.processes import free_port, manage, serve, wait_until
from jobs import services
from jobs.enums import FINAL, ExecutionStatus, JobAction
from jobs.models import Job, JobExecution
from jobs.targets import Target

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# An offer that was on its way when the server was killed is made again after a minute.
PATIENCE_SECONDS = 240
# What the client of a server that is killed may come across.
OUTAGES = {"no connection", "no answer in time", "HTTP 503"}


class Watcher(TimedTransport):
    """Notes what devices are offered and say, and what breaks a promise."""

    def __init__(self, url: str, tally: Tally) -> None:
        super().__init__(url, tally)
        self._noting = threading.Lock()
        # Command ids: said to begin, heard that they may, and outcomes that were taken.
        self.asked: set[str] = set()
        self.acknowledged: set[str] = set()
        self.taken: dict[str, str] = {}
        self.offered_after_acknowledgement: list[str] = []

    def send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
        command_id = path.split("/")[-2]
        if path.endswith("/ack"):
            with self._noting:
                self.asked.add(command_id)
        answer = super().send(method, path, body, headers)
        with self._noting:
            if path.endswith("/ack"):
                self.acknowledged.add(command_id)
            elif path.endswith("/status"):
                self.taken[command_id] = body["status"]
            offered = {command["command_id"] for command in answer.get("commands", [])}
            self.offered_after_acknowledgement += offered & self.acknowledged
        return answer


class BegunTally(Tally):
    """Counts how often each command began."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: Counter[str] = Counter()

    def happened(self, event: str, about: str = "") -> None:
        super().happened(event, about)
        if event == "begun":
            self.begun[about] += 1


class Ledger:
    """Looks at the executions again and again: what they say must have happened, and stay."""

    def __init__(self, job: Job, watcher: Watcher) -> None:
        self._job, self._watcher = job, watcher
        self._final: dict[str, tuple[str, datetime]] = {}

    def look(self) -> Counter[str]:
        """How many executions there are of each status."""
        rows = list(
            JobExecution.objects.filter(job=self._job).values_list(
                "execution_id", "status", "acknowledged_at", "finished_at"
            )
        )
        for execution_id, status, acknowledged_at, finished_at in rows:
            command_id = str(execution_id)
            if acknowledged_at or status not in (ExecutionStatus.QUEUED, ExecutionStatus.SENT):
                assert command_id in self._watcher.asked, "delivered before its device said so"
            if status in FINAL:
                outcome = (status, finished_at)
                assert self._final.setdefault(command_id, outcome) == outcome, "recorded twice"
            else:
                assert command_id not in self._final, "lost again"
        return Counter(status for _, status, _, _ in rows)

    def wait_for(self, final_count: int) -> None:
        def are_final() -> bool:
            counts = self.look()
            return sum(count for status, count in counts.items() if status in FINAL) >= final_count

        wait_until(are_final, seconds=PATIENCE_SECONDS)


@contextmanager
def service(port: int) -> Iterator[None]:
    """Web server and worker; the end of the block kills them, as SIGKILL does."""
    with serve(port, "--workers", "2"), manage("run_worker"):
        yield


def test_job_survives_kills_and_absence():
    # SQLite has one writer at a time.
    device_count, interval = (1000, 5) if connection.vendor == "postgresql" else (100, 2)
    port, tally = free_port(), BegunTally()
    credentials = prepare_fleet(
        device_count=device_count, site_count=10, on_progress=lambda ready: None
    )
    with ExitStack() as stack:
        watcher = stack.enter_context(closing(Watcher(f"http://127.0.0.1:{port}", tally)))
        members = [
            make_member(
                credential,
                transport=watcher,
                tally=tally,
                chances=Chances(seed=1, failure_rate=0.1),
                run_seconds=0,
                interval=interval,
            )
            for credential in credentials
        ]
        fleet = Fleet(members, tally, 16)
        away, there = members[::10] + members[1::10] + members[2::10], device_count * 7 // 10
        stack.callback(fleet.stop)
        with service(port):
            fleet.start()
            wait_until(
                lambda: not Device.objects.exclude(lifecycle_state=LifecycleState.ACTIVE).exists(),
                seconds=PATIENCE_SECONDS,
            )
            assert tally.error_count == 0, tally.errors
            fleet.switch_off(away)
            job = services.create_job(target=Target(), actor=None, action=JobAction.RESTART_POS_APP)
            ledger = Ledger(job, watcher)
            ledger.wait_for(device_count // 10)
        # Both are gone, in the middle of the work.
        with service(port):
            ledger.wait_for(device_count * 4 // 10)
        with service(port):
            ledger.wait_for(there)
            assert ledger.look()[ExecutionStatus.QUEUED] == len(away)
            fleet.switch_on(away)
            ledger.wait_for(device_count)
            wait_until(lambda: not fleet.unfinished(), seconds=PATIENCE_SECONDS)
            statuses = ledger.look()

    job.refresh_from_db()
    failed = job.failed
    assert statuses == {"completed": device_count - failed, "failed": failed}
    assert 0 < failed < device_count // 5
    assert (job.total, job.open, job.completed) == (device_count, 0, device_count - failed)
    assert (job.status, job.result["failures"]) == ("failed", {"simulated_failure": failed})
    # What each device said is what is stored, and each did it once.
    stored = JobExecution.objects.values_list("execution_id", "status")
    assert {str(execution_id): status for execution_id, status in stored} == watcher.taken
    assert len(tally.begun) == device_count
    assert set(tally.begun.values()) == {1}
    assert watcher.offered_after_acknowledgement == []
    told = AuditLog.objects.filter(event_type__startswith="job_").order_by("id")
    assert list(told.values_list("event_type", flat=True)) == [
        *("job_created", "job_started", "job_failed")
    ]
    assert set(tally.errors) <= OUTAGES, tally.errors
    assert tally.errors, "nobody noticed a kill"
