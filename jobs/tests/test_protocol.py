"""A device fetches its work, begins, and tells what became of it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from audit.models import AuditLog
from devices.models import Device
from devices.services import suspend_device
from devices.tests.factories import make_device
from devices.tests.test_protocol import client_of
from jobs import services
from jobs.enums import JobAction, JobPriority
from jobs.models import Job, JobExecution
from jobs.tests.factories import execution_of, order_job

pytestmark = pytest.mark.django_db


def check_in(agent: APIClient) -> dict:
    answer = agent.post("/api/v1/agent/check-in", {"is_healthy": True})
    assert answer.status_code == 200, answer.content
    return answer.json()


def say(agent: APIClient, command_id: str, **body) -> tuple[int, dict]:
    answer = agent.put(f"/api/v1/devices/{command_id}/status", body)
    return answer.status_code, answer.json()


def begin(agent: APIClient, device: Device, command_id: str, **body) -> tuple[int, dict]:
    answer = agent.post(f"/api/v1/devices/{device.device_id}/commands/{command_id}/ack", body)
    return answer.status_code, answer.json()


def test_command_from_check_in_to_outcome():
    device = make_device()
    agent = client_of(device)
    job = order_job(
        device,
        action=JobAction.UPDATE_CONFIG,
        payload={"restart": False},
        config_url="https://example.com/9.json",
        config_version="9",
    )
    device.refresh_from_db()
    assert device.desired_config_version == "9"

    (command,) = check_in(agent)["commands"]

    command_id = command["command_id"]
    assert command == {
        "command_id": str(execution_of(job).execution_id),
        "command_type": "update_config",
        "payload": {
            "restart": False,
            "config_url": "https://example.com/9.json",
            "config_version": "9",
        },
        "attempt": 1,
        "lease_until": command["lease_until"],
        "created_at": command["created_at"],
    }
    job.refresh_from_db()
    assert (job.status, job.open) == ("sent", 1)
    assert check_in(agent)["commands"] == []

    status_code, body = begin(agent, device, command_id, attempt=1)
    assert (status_code, body["data"]) == (
        200,
        {"command_id": command_id, "status": "acknowledged"},
    )
    job.refresh_from_db()
    assert job.status == "acknowledged"
    assert job.started_at

    assert say(agent, command_id, status="completed", result={"took_ms": 12}, attempt=1)[0] == 200
    assert say(agent, command_id, status="completed", result={"took_ms": 12}, attempt=1)[0] == 200

    job.refresh_from_db()
    assert (job.status, job.open, job.completed) == ("completed", 0, 1)
    assert job.result == {
        "total_devices": 1,
        "completed": 1,
        "failed": 0,
        "cancelled": 0,
        "expired": 0,
        "superseded": 0,
        "failures": {},
    }
    device.refresh_from_db()
    assert device.config_version == "9"
    assert list(AuditLog.objects.order_by("pk").values_list("event_type", "actor_label")) == [
        ("job_created", "system"),
        ("job_started", device.device_id),
        ("job_completed", device.device_id),
    ]


def test_more_urgent_work_comes_first_then_older():
    device = make_device()
    jobs = [
        order_job(device, priority=priority)
        for priority in (
            JobPriority.LOW,
            JobPriority.NORMAL,
            JobPriority.CRITICAL,
            JobPriority.HIGH,
            JobPriority.CRITICAL,
        )
    ]
    offered = [command["command_id"] for command in check_in(client_of(device))["commands"]]
    expected = [jobs[number] for number in (2, 4, 3, 1, 0)]
    assert offered == [str(execution_of(job).execution_id) for job in expected]


def test_at_most_ten_commands_at_a_time():
    device = make_device()
    agent = client_of(device)
    for _ in range(12):
        order_job(device)
    assert len(check_in(agent)["commands"]) == 10
    assert len(agent.get("/api/v1/devices/pending").json()) == 2


def test_scheduled_work_that_no_sweep_released_is_ten_at_a_time_too():
    device = make_device()
    now = timezone.now()
    jobs = [order_job(device, scheduled_at=now + timedelta(hours=1)) for _ in range(12)]
    order_job(device)
    offered = services.offer_work(device.pk, now=now + timedelta(hours=1)).commands
    assert [command.command_id for command in offered] == [
        execution_of(job).execution_id for job in jobs[:10]
    ]
    assert Job.objects.filter(status="pending").count() == 2


def test_older_agents_fetch_a_bare_list_and_may_report_without_beginning():
    device = make_device()
    agent = client_of(device)
    job = order_job(device, payload={"a": 1})

    answer = agent.get("/api/v1/devices/pending")

    (command,) = answer.json()
    assert command == {
        "command_id": str(execution_of(job).execution_id),
        "command_type": "ping",
        "payload": {"a": 1},
        "status": "sent",
        "created_at": command["created_at"],
    }
    assert answer["Cache-Control"] == "no-store"
    path = f"/api/v1/devices/{command['command_id']}/status"
    failed = {"status": "failed", "error_message": "No paper", "executed_at": None}
    assert agent.post(path, failed).status_code == 200
    job.refresh_from_db()
    assert (job.status, job.failed, job.result["failures"]) == ("failed", 1, {"unspecified": 1})
    assert job.started_at


def test_lease_that_runs_out_is_offered_again_until_the_last_attempt():
    device = make_device()
    job = order_job(device, max_attempts=2)
    now = timezone.now()
    first = services.offer_work(device.pk, now=now).commands
    assert services.offer_work(device.pk, now=now + timedelta(seconds=59)).commands == []
    second = services.offer_work(device.pk, now=now + timedelta(seconds=60)).commands
    assert [command.attempt for command in (*first, *second)] == [1, 2]

    with pytest.raises(services.reports.CommandRefusedError) as refused:
        services.acknowledge(device=device, command_id=first[0].command_id, attempt=1)
    assert refused.value.code == "stale_attempt"

    later = now + timedelta(seconds=120)
    assert services.offer_work(device.pk, now=later).commands == []
    assert services.end_due_executions(later) == 1
    execution = execution_of(job)
    assert (execution.status, execution.error_code) == ("failed", "not_acknowledged")
    job.refresh_from_db()
    assert (job.status, job.open) == ("failed", 0)


@pytest.mark.parametrize("word", ["completed", "failed", "cancelled"])
def test_report_against_a_final_state_is_refused_and_kept(word):
    device = make_device()
    agent = client_of(device)
    order_job(device)
    command_id = check_in(agent)["commands"][0]["command_id"]
    final = "failed" if word == "completed" else "completed"
    say(agent, command_id, status=final)

    for _ in range(2):
        status_code, body = say(agent, command_id, status=word, result={"token": "secret"})
        assert (status_code, body["code"]) == (409, "command_ended")

    row = AuditLog.objects.get(event_type="late_report_refused")
    assert row.actor_label == device.device_id
    assert row.event_metadata["report"]["status"] == word
    assert row.event_metadata["report"]["result"] == {"token": "***"}
    assert JobExecution.objects.get().status == final


def test_report_after_the_deadline_is_late_before_any_sweep():
    device = make_device()
    agent = client_of(device)
    job = order_job(device, ttl_seconds=1)
    command_id = check_in(agent)["commands"][0]["command_id"]
    past = timezone.now() - timedelta(seconds=1)
    JobExecution.objects.update(due_at=past, expires_at=past, queued_at=past - timedelta(seconds=1))

    assert say(agent, command_id, status="completed")[1]["code"] == "command_ended"

    assert execution_of(job).status == "expired"
    job.refresh_from_db()
    assert (job.status, job.expired) == ("expired", 1)
    assert AuditLog.objects.filter(event_type="late_report_refused").exists()


def test_another_devices_command_is_not_there():
    device, other = make_device(), make_device()
    order_job(device)
    command_id = check_in(client_of(device))["commands"][0]["command_id"]
    stranger = client_of(other)
    assert begin(stranger, other, command_id)[0] == 404
    assert begin(stranger, device, command_id)[0] == 404
    assert say(stranger, command_id, status="completed")[0] == 404
    assert say(stranger, str(uuid4()), status="completed")[0] == 404


def test_cancelled_work_ends_when_the_device_confirms():
    device, waiting = make_device(), make_device()
    agent = client_of(device)
    job = order_job(device, waiting)
    command_id = check_in(agent)["commands"][0]["command_id"]
    begin(agent, device, command_id)

    services.cancel_job(job=job, actor=None)
    services.cancel_job(job=job, actor=None)

    assert execution_of(job, waiting).status == "cancelled"
    for _ in range(2):
        assert check_in(agent)["cancelled"] == [command_id]
    assert begin(agent, device, command_id)[1]["code"] == "command_cancelled"
    assert say(agent, command_id, status="cancelled")[0] == 200
    job.refresh_from_db()
    assert (job.status, job.cancelled, job.open) == ("cancelled", 2, 0)
    assert check_in(agent)["cancelled"] == []
    events = AuditLog.objects.order_by("pk").values_list("event_type", flat=True)
    assert list(events) == ["job_created", "job_started", "job_cancel_requested", "job_cancelled"]


def test_cancelled_before_it_began_ends_when_the_device_asks_to_begin():
    device = make_device()
    agent = client_of(device)
    job = order_job(device)
    command_id = check_in(agent)["commands"][0]["command_id"]
    services.cancel_job(job=job, actor=None)

    assert begin(agent, device, command_id)[1]["code"] == "command_cancelled"

    job.refresh_from_db()
    assert (job.status, job.cancelled) == ("cancelled", 1)


def test_nobody_cancelled_what_the_device_calls_cancelled():
    device = make_device()
    agent = client_of(device)
    order_job(device)
    command_id = check_in(agent)["commands"][0]["command_id"]
    assert say(agent, command_id, status="cancelled")[1]["code"] == "command_not_cancelled"


def test_work_that_goes_quiet_times_out():
    device = make_device()
    job = order_job(device, timeout_seconds=60)
    now = timezone.now()
    (command,) = services.offer_work(device.pk, now=now).commands
    services.acknowledge(device=device, command_id=command.command_id)
    assert services.end_due_executions(now + timedelta(seconds=55)) == 0
    assert services.end_due_executions(now + timedelta(seconds=65)) == 1
    execution = execution_of(job)
    assert (execution.status, execution.error_code) == ("failed", "timed_out")
    assert execution.finished_at == execution.lease_until


def test_device_that_leaves_loses_its_open_work():
    device, other = make_device(), make_device()
    job = order_job(device, other)
    suspend_device(device=device, actor=None)
    execution = execution_of(job, device)
    assert (execution.status, execution.error_code) == ("cancelled", "device_suspended")
    job.refresh_from_db()
    assert (job.status, job.cancelled, job.open) == ("queued", 1, 1)


def test_task_of_the_devices_own():
    device = make_device()
    agent = client_of(device)

    answer = agent.post("/api/v1/agent/jobs", {"action": "Defragment", "status": "running"})

    assert answer.status_code == 201, answer.content
    data = answer.json()["data"]
    assert data == {
        "job_id": data["job_id"],
        "action": "Defragment",
        "status": "acknowledged",
        "priority": "normal",
        "created_at": data["created_at"],
    }
    path = f"/api/v1/agent/jobs/{data['job_id']}"
    assert agent.put(path, {"status": "running"}).json()["data"]["status"] == "acknowledged"
    done = agent.put(path, {"status": "completed", "result": {"blocks": 7}})
    assert done.json()["data"]["status"] == "completed"
    job = Job.objects.get()
    assert (job.action, job.device, execution_of(job).result) == (
        "device_task",
        device,
        {"blocks": 7},
    )
    assert check_in(agent)["commands"] == []


@pytest.mark.parametrize("queue", [1, 30])
def test_check_in_with_work_costs_the_same_whatever_the_queue(count_statements, queue):
    device = make_device()
    agent = client_of(device)
    check_in(agent)  # the key's first use, and the status, are written
    for _ in range(queue):
        order_job(device)

    # PostgreSQL: 1. the check-in, 2. the offer. SQLite sends the parts one by one.
    with count_statements(2 if connection.vendor == "postgresql" else 8):
        assert check_in(agent)["commands"]
