"""The reference agent at work, against a real server: whatever is lost on the way and whenever
it is killed, each command runs once at most and its outcome arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from devices.agent import state
from devices.agent.client import Command
from devices.agent.errors import NotReachedError
from devices.agent.handlers import HANDLERS, handle
from devices.agent.journal import Stage
from devices.agent.machine import Machine
from devices.agent.state import StateFolder
from devices.agent.transport import Transport
from devices.enums import Permission
from devices.models import Device
from devices.tests.agent.trial import Trial
from devices.tests.factories import make_credential, make_device
from homepot.testing.processes import python, wait_until
from jobs import services
from jobs.enums import ExecutionStatus, JobAction
from jobs.models import JobExecution
from jobs.tests.factories import execution_of, order_job

pytestmark = pytest.mark.django_db(transaction=True)

CONFIG = {"config_url": "https://example.com/menu.json", "config_version": "v7"}


class FaultyTransport(Transport):
    """Calls `fault` before each request and after each answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout=5)
        self.fault: Callable[[str], None] = lambda point: None

    def send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
        self.fault(f"before {path}")
        answer = super().send(method, path, body, headers)
        self.fault(f"after {path}")
        return answer


@pytest.fixture
def transport(live_server) -> Iterator[FaultyTransport]:
    with closing(FaultyTransport(live_server.url)) as transport:
        yield transport


@pytest.fixture
def trial(transport) -> Trial:
    return Trial(transport, make_device(), interval=10)


@pytest.fixture
def runs(monkeypatch) -> list[str]:
    """Grows by one with each run of a ping."""
    runs: list[str] = []

    def ping(payload: Any, machine: Machine, pause: Any) -> dict[str, Any]:
        runs.append("ping")
        return {"run": len(runs)}

    monkeypatch.setitem(HANDLERS, "ping", ping)
    return runs


def let_the_lease_run_out() -> None:
    now = timezone.now()
    JobExecution.objects.filter(status=ExecutionStatus.SENT).update(lease_until=now, offer_at=now)


def test_every_action_has_a_handler():
    assert set(HANDLERS) == set(JobAction) - {JobAction.DEVICE_TASK}


@pytest.mark.parametrize(
    ("action", "fields", "result"),
    [
        ("ping", {}, {"answer": "pong"}),
        ("status_request", {}, {"firmware_version": "1.0.0"}),
        ("health_check", {}, {"is_healthy": True}),
        ("restart", {}, {"was_up_seconds": 0}),
        ("restart_pos_app", {}, {"restarted": "pos_app"}),
        ("shutdown", {}, {"simulated": True}),
        ("update_config", CONFIG, {**CONFIG, "before": ""}),
        ("update_pos_payment_config", {"payload": CONFIG}, {**CONFIG, "before": ""}),
        (
            "update_firmware",
            {"payload": {"firmware_version": "2.0"}},
            {"firmware_version": "2.0", "before": "1.0.0"},
        ),
        (
            "request_permission",
            {"payload": {"permission": "root_access"}},
            {"permissions": {"root_access": True}},
        ),
    ],
)
def test_action_is_done_and_told(action, fields, result, trial):
    trial.machine.grants = frozenset({"root_access"})
    job = order_job(trial.device, action=action, **fields)
    trial.pass_time(12)

    execution = execution_of(job)
    assert (execution.status, execution.error_code) == ("completed", ""), execution.error_message
    assert result.items() <= execution.result.items()
    assert trial.heard.errors == []
    assert trial.heard.events[:6] == [
        *("checked in", "offered", "acknowledged", "begun", "completed", "checked in")
    ]
    # What changed is on the server too, the next time at the latest.
    trial.pass_time(12)
    device = Device.objects.get()
    assert device.config_version == ("v7" if "config" in action else "")
    assert device.firmware_version == ("2.0" if action == "update_firmware" else "1.0.0")
    granted = {Permission.ROOT_ACCESS: True} if action == "request_permission" else {}
    assert device.permissions == granted


@pytest.mark.parametrize(
    ("action", "payload", "error_code"),
    [
        ("update_config", {"other": 7}, "invalid_payload"),
        ("update_config", {"config_version": 7}, "invalid_payload"),
        ("update_firmware", {"config_version": "v7"}, "invalid_payload"),
        ("update_firmware", {"firmware_version": "x" * 51}, "invalid_payload"),
        ("request_permission", {}, "invalid_payload"),
        ("request_permission", {"permissions": [1]}, "invalid_payload"),
        ("request_permission", {"permissions": ["root_access"]}, "permission_denied"),
    ],
)
def test_action_that_cannot_be_done_fails_and_changes_nothing(action, payload, error_code, trial):
    job = order_job(trial.device, action=action, payload=payload)
    trial.pass_time(12)
    execution = execution_of(job)
    assert (execution.status, execution.error_code) == ("failed", error_code)
    assert execution.error_message
    assert (trial.machine.config_version, trial.machine.firmware_version) == ("", "1.0.0")


@pytest.mark.parametrize(
    ("name", "error_code"), [("run_shell", "unsupported_action"), ("broken", "handler_error")]
)
def test_no_handler_stops_the_agent(name, error_code, monkeypatch):
    monkeypatch.setitem(HANDLERS, "broken", lambda payload, machine, pause: 1 / 0)
    outcome = handle(Command(str(uuid4()), name), Machine(), lambda seconds: None)
    assert (outcome.status, outcome.error_code) == ("failed", error_code)


def test_commands_run_one_by_one_in_the_order_of_their_offer(trial, runs):
    jobs = [order_job(trial.device, description=str(number)) for number in range(11)]
    trial.step()
    # Acknowledged at once, so that the server offers them no more; ten at a time.
    statuses = [execution_of(job).status for job in jobs]
    assert statuses == ["acknowledged"] * 10 + ["queued"]
    trial.pass_time(5)
    assert [execution_of(job).result["run"] for job in jobs] == list(range(1, 12))


# Cancelling


def cancel(job: Any) -> None:
    services.cancel_job(job=job, actor=None)


def test_cancelled_command_ends_whether_it_waits_or_runs(trial):
    firmware = {"action": "update_firmware", "payload": {"firmware_version": "2.0"}}
    running, waiting = (order_job(trial.device, **firmware) for _ in range(2))
    trial.step()
    assert [entry.stage for entry in trial.journal] == ["begun", "waiting"]
    for job in (running, waiting):
        cancel(job)
    trial.agent.put_off(0)
    trial.pass_time(1)
    assert [execution_of(job).status for job in (running, waiting)] == ["cancelled"] * 2
    assert trial.heard.errors == []
    assert trial.heard.events.count("begun") == 1


def test_command_cancelled_before_it_is_acknowledged_never_begins(trial, transport, runs):
    job = order_job(trial.device)
    transport.fault = lambda point: cancel(job) if point.startswith("after /agent/check") else None
    trial.step()
    transport.fault = lambda point: None
    trial.pass_time(12)
    assert (execution_of(job).status, runs) == ("cancelled", [])
    assert list(trial.journal) == []


def test_device_that_lost_its_memory_confirms_that_a_command_is_cancelled(trial, transport):
    job = order_job(trial.device, action="update_firmware")
    trial.step()
    cancel(job)
    Trial(transport, trial.device).pass_time(1)
    assert execution_of(job).status == "cancelled"


# Losses


def link_down(point: str) -> None:
    raise NotReachedError("The link is down.", "no connection")


def test_command_does_not_begin_before_the_server_has_its_acknowledgement(trial, transport, runs):
    job = order_job(trial.device)
    transport.fault = lambda point: (
        link_down(point) if point.endswith("/ack") and point.startswith("after") else None
    )
    trial.pass_time(15)
    assert (execution_of(job).status, runs) == ("acknowledged", [])  # its answers were lost
    transport.fault = lambda point: None
    trial.pass_time(15)
    assert (execution_of(job).status, runs) == ("completed", ["ping"])


def test_outcome_waits_no_longer_than_the_link(trial, transport, runs):
    job = order_job(trial.device)
    transport.fault = lambda point: link_down(point) if runs else None
    trial.pass_time(200)
    trial.step()  # whatever was due just now is not any more
    assert (execution_of(job).status, runs) == ("acknowledged", ["ping"])
    transport.fault = lambda point: None
    trial.agent.put_off(0)
    trial.step()
    assert execution_of(job).status == "completed"


def test_outcome_that_the_server_does_not_take_is_dropped(trial, runs):
    job = order_job(trial.device)
    trial.step()
    JobExecution.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    trial.pass_time(12)
    assert execution_of(job).error_code == "timed_out"
    assert "outcome not taken" in trial.heard.events
    assert (len(runs), trial.journal.open_entries()) == (1, [])


def test_server_that_was_restored_gets_the_outcome_and_no_second_run(trial, runs):
    job = order_job(trial.device)
    before = JobExecution.objects.values().get()
    trial.pass_time(12)
    first = execution_of(job)
    assert first.status == "completed"
    # As it was in the backup.
    JobExecution.objects.update(**before)
    type(job).objects.update(status="queued", open=1, completed=0, completed_at=None)
    trial.pass_time(12)
    again = execution_of(job)
    assert (again.status, again.result, len(runs)) == ("completed", first.result, 1)


class Killed(BaseException):
    """The process is gone; what it had in memory too."""


class Points:
    """Where things can go wrong, in the order in which a run passes them."""

    def __init__(self, fail_at: int = 0, error: Callable[[], BaseException] = Killed) -> None:
        self.passed: list[str] = []
        self._fail_at = fail_at
        self._error = error

    def __call__(self, point: str) -> None:
        self.passed.append(point)
        if len(self.passed) == self._fail_at:
            raise self._error()


def run_from_disk(transport: FaultyTransport, device: Device, key: str, folder: Path) -> None:
    """One life of an agent: it begins with what the disk holds and ends with work done."""
    with closing(StateFolder(folder)) as kept:
        machine = Machine(kept.read_machine(), save=kept.write_machine)
        journal = kept.open_journal()
        trial = Trial(transport, device, key=key, journal=journal, machine=machine, interval=10)
        trial.pass_time(12)
        assert journal.open_entries() == []


@pytest.fixture
def fault_on_disk(monkeypatch) -> Callable[[Callable[[str], None]], None]:
    """`fault_on_disk(fault)` has `fault` called before and after each write."""
    write = state.write_json

    def install(points: Callable[[str], None]) -> None:
        def write_json(path: Path, data: Any) -> None:
            points(f"before {data.get('stage', path.name)}")
            write(path, data)
            points(f"after {data.get('stage', path.name)}")

        monkeypatch.setattr(state, "write_json", write_json)

    return install


ROUND = [
    *("/agent/check-in", "waiting", "/ack", "begun", "finished", "/status", "reported"),
    "/agent/check-in",
]


def test_kill_at_any_point_loses_no_outcome_and_runs_nothing_twice(
    transport, fault_on_disk, runs, tmp_path
):
    statuses = []
    for fail_at in range(1, 2 * len(ROUND) + 1):
        device, folder = make_device(), tmp_path / str(fail_at)
        key, job, points = make_credential(device), order_job(device), Points(fail_at)
        runs.clear()
        transport.fault = points
        fault_on_disk(points)
        with pytest.raises(Killed):
            run_from_disk(transport, device, key, folder)
        words, end = ("before", "after")[(fail_at + 1) % 2], ROUND[(fail_at - 1) // 2]
        assert points.passed[-1].startswith(words)
        assert points.passed[-1].endswith(end)

        let_the_lease_run_out()
        run_from_disk(transport, device, key, folder)

        execution = execution_of(job)
        assert len(runs) <= 1, points.passed
        assert (execution.status == "completed") == (execution.result == {"run": 1})
        statuses.append(execution.error_code or execution.status)
    begun = ROUND.index("begun")
    interrupted = range(2 * begun + 1, 2 * begun + 3)  # begun, and no outcome on disk
    assert statuses == [
        "interrupted" if number in interrupted else "completed" for number in range(len(statuses))
    ]


def test_any_lost_request_or_answer_is_made_up_for(transport, runs):
    points = Points()
    for fail_at in range(1, 100):
        device = make_device()
        job = order_job(device)
        runs.clear()
        points = Points(fail_at, lambda: NotReachedError("It is down.", "no connection"))
        transport.fault = points
        trial = Trial(transport, device, interval=10)
        trial.step()
        let_the_lease_run_out()
        trial.pass_time(15)
        assert (execution_of(job).status, runs) == ("completed", ["ping"]), points.passed
        if not trial.heard.errors:
            break
        assert len(trial.heard.errors) == 1
    # Each request and each answer had its turn.
    assert fail_at > 8


@pytest.mark.parametrize("stage", Stage)
def test_disk_that_fails_once_holds_work_up_and_no_more(
    stage, transport, fault_on_disk, runs, tmp_path
):
    failed: list[str] = []

    def fail_once(point: str) -> None:
        if point == f"before {stage}" and not failed:
            failed.append(point)
            raise OSError(28, "No space left on device")

    device = make_device()
    job = order_job(device)
    fault_on_disk(fail_once)
    with closing(StateFolder(tmp_path)) as kept:
        trial = Trial(transport, device, journal=kept.open_journal(), interval=10)
        trial.step()
        let_the_lease_run_out()
        trial.pass_time(45)
    assert (execution_of(job).status, runs) == ("completed", ["ping"])
    assert [str(error) for error in trial.heard.errors] == ["[Errno 28] No space left on device"]


def test_agent_killed_in_the_middle_of_its_work_tells_so(live_server, tmp_path):
    device = make_device()
    job = order_job(device, action="update_firmware", payload={"firmware_version": "2.0"})
    key = make_credential(device)
    arguments = (
        *("-m", "devices.agent", "--url", live_server.url, "--device-id", device.device_id),
        *("--state-dir", str(tmp_path), "--interval-override", "0.5"),
    )

    def has_begun() -> bool:
        files = list((tmp_path / "commands").glob("*.json"))
        return any('"begun"' in file.read_text() for file in files)

    with python(*arguments, HOMEPOT_DEVICE_KEY=key) as process:
        wait_until(has_begun, process)
        process.kill()
        process.wait()
    assert execution_of(job).status == "acknowledged"
    with python(*arguments) as process:
        wait_until(lambda: execution_of(job).finished_at, process)
    execution = execution_of(job)
    assert (execution.status, execution.error_code) == ("failed", "interrupted")
    # One that is told to end has the time to say it itself.
    job = order_job(device, action="update_firmware", payload={"firmware_version": "2.0"})
    with python(*arguments) as process:
        wait_until(has_begun, process)
        process.terminate()
        assert process.wait(20) == 0
    assert execution_of(job).error_code == "interrupted"
