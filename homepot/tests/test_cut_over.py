"""A move under load: what devices were told is stored is there after the switch.

Everything is real: servers, databases, the command, and agents that check in, fetch their work
and report it through HTTP.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, closing
from datetime import datetime

import pytest
from django.db import connection

from accounts.enums import Role
from accounts.keys import DEVICE_KEY_PREFIX, USER_KEY_PREFIX, make_key
from accounts.models import User
from devices.agent.client import Credential
from devices.enums import LifecycleState
from devices.models import Device, DeviceCredential, HealthCheck
from devices.simulation.chance import Chances
from devices.simulation.fleet import Fleet, make_member
from devices.simulation.tally import Tally, TimedTransport
from homepot.testing.processes import free_port, serve, wait_until
from homepot.tests.conftest import new_database, run_python
from homepot.transfer.databases import database
from jobs.models import JobExecution
from sites.models import Site

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
DEVICES = 4
READ_ONLY = {"MAINTENANCE__READ_ONLY": "true"}
PATIENCE_SECONDS = 240


class Watcher(TimedTransport):
    """Notes what devices were told is stored."""

    def __init__(self, url, tally):
        super().__init__(url, tally)
        self.noting = threading.Lock()
        self.checks, self.begun, self.outcomes = set(), set(), {}
        self.offered_again = set()

    def send(self, method, path, body, headers):
        answer = super().send(method, path, body, headers)
        command_id = path.split("/")[-2]
        with self.noting:
            if path == "/agent/check-in":
                moment = datetime.fromisoformat(body["reported_at"])
                self.checks.add((headers["X-Device-ID"], moment))
                offered = {command["command_id"] for command in answer["commands"]}
                self.offered_again |= offered & self.begun
            elif path.endswith("/ack"):
                self.begun.add(command_id)
            elif path.endswith("/status"):
                self.outcomes[command_id] = body["status"]
        return answer

    @property
    def told(self):
        with self.noting:
            return len(self.checks) + len(self.begun) + len(self.outcomes)


def send(port, path, body, **headers):
    """The status, headers and JSON of the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/{path}",
        json.dumps(body).encode() if body is not None else None,
        {"Content-Type": "application/json", **headers},
    )
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, json.loads(answer.read())


def fill(url):
    """Active devices and an admin; returns their credentials and the admin's key."""
    credentials, admin = [], make_key(USER_KEY_PREFIX)
    with database(url) as source:
        site = Site.objects.using(source.alias).create(site_id="s", name="S")
        for number in range(DEVICES):
            device = Device.objects.using(source.alias).create(
                site=site,
                device_id=f"till-{number}",
                name=f"Till {number}",
                lifecycle_state=LifecycleState.ACTIVE,
            )
            new = make_key(DEVICE_KEY_PREFIX)
            DeviceCredential.objects.using(source.alias).create(
                device=device, key_digest=new.digest, hint=new.hint
            )
            credentials.append(Credential(device.device_id, new.key))
        User.objects.using(source.alias).create(
            username="ann", email="ann@example.com", role=Role.ADMIN, api_key=admin.digest
        )
    return credentials, admin.key


@pytest.mark.parametrize("direction", ["from the run's engine", "to the run's engine"])
def test_nothing_that_was_stored_is_lost(direction, tmp_path):
    with ExitStack() as stack:
        here = stack.enter_context(new_database(tmp_path))
        there = f"sqlite:///{tmp_path / 'other.db'}"
        if direction == "from the run's engine":
            source, target = here, there
        elif connection.vendor == "sqlite":
            pytest.skip("both would be SQLite")
        else:
            source, target = there, here
        assert run_python("manage.py", "migrate", DATABASE__URL=source).returncode == 0
        credentials, admin = fill(source)
        port, tally = free_port(), Tally()
        watcher = stack.enter_context(closing(Watcher(f"http://127.0.0.1:{port}", tally)))
        members = [
            make_member(
                credential,
                transport=watcher,
                tally=tally,
                chances=Chances(seed=1),
                run_seconds=0,
                interval=1,
            )
            for credential in credentials
        ]
        fleet = Fleet(members, tally, DEVICES)
        stack.callback(fleet.stop)
        body = {"action": "restart_pos_app", "site_id": "s"}

        def wait(is_so, server):
            wait_until(is_so, server, seconds=PATIENCE_SECONDS)

        with serve(port, DATABASE__URL=source) as server:
            fleet.start()
            wait(lambda: len(watcher.checks) > 2 * DEVICES, server)
            for goal in (DEVICES, DEVICES + 1):  # one job that is done, and one in its midst
                status, _, answer = send(port, "jobs/jobs", body, **{"X-API-Key": admin})
                assert status == 201, answer
                wait(lambda goal=goal: len(watcher.begun) >= goal, server)
        with serve(port, DATABASE__URL=source, **READ_ONLY) as server:
            wait(lambda: tally.errors["HTTP 503"] > 2 * DEVICES, server)
            one = {"X-Device-ID": credentials[0].device_id, "X-API-Key": credentials[0].api_key}
            for path, about in (
                ("agent/check-in", {"is_healthy": True}),
                (f"devices/till-0/commands/{next(iter(watcher.begun))}/ack", {}),
                (f"devices/{next(iter(watcher.begun))}/status", {"status": "failed"}),
            ):
                status, headers, answer = send(port, path, about, **one)
                assert (status, answer["code"]) == (503, "read_only")
                assert headers["Content-Type"] == "application/problem+json"
                assert int(headers["Retry-After"]) > 0
            # Work is not taken; where there is none, nothing has to be refused.
            status, _, answer = send(port, "devices/pending", None, **one)
            assert status == 503 or answer == []
            before = watcher.told
            copied = run_python(
                "manage.py", "copy_database", "--to", target, DATABASE__URL=source, **READ_ONLY
            )
            assert copied.returncode == 0, copied.stderr
            assert watcher.told == before
        with serve(port, DATABASE__URL=target) as server:
            goal = len(watcher.checks) + 2 * DEVICES
            wait(
                lambda: len(watcher.outcomes) == 2 * DEVICES and len(watcher.checks) > goal, server
            )
            fleet.stop()
        with database(target) as moved:
            checks = HealthCheck.objects.using(moved.alias)
            stored = set(checks.values_list("device__device_id", "reported_at"))
            executions = JobExecution.objects.using(moved.alias)
            statuses = executions.values_list("execution_id", "status")
            assert watcher.checks - stored == set()
            assert {str(name): status for name, status in statuses} == watcher.outcomes
        assert watcher.offered_again == set()
