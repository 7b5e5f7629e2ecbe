"""What each use costs: how many statements, and that none reads a large table whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership
from accounts.tests.factories import make_api_key, make_user
from devices.models import Device
from devices.services import suspend_device
from devices.tests.factories import make_device, make_fleet
from devices.tests.test_protocol import client_of
from homepot.testing.plans import analyze, explained
from jobs import services, sweeps
from jobs.enums import ExecutionStatus, JobAction, JobPriority, JobStatus
from jobs.models import Job, JobExecution
from jobs.targets import Target
from jobs.tests.factories import execution_of, order_job
from sites.models import Site

pytestmark = pytest.mark.django_db

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
PING: dict[str, Any] = {"actor": None, "action": JobAction.PING, "priority": JobPriority.NORMAL}
QUEUE = 5000


def queue_up(device: Device, count: int) -> None:
    """Let `count` pings wait for `device`, each of a job of its own."""
    expires_at = timezone.now() + HOUR
    jobs = Job.objects.bulk_create(
        Job(
            job_id=f"queued-{number}",
            site=device.site,
            device=device,
            action=JobAction.PING,
            status=JobStatus.QUEUED,
            total=1,
            open=1,
        )
        for number in range(count)
    )
    JobExecution.objects.bulk_create(
        JobExecution(
            job=job,
            device=device,
            priority=20,
            expires_at=expires_at,
            offer_at=timezone.now(),
            due_at=expires_at,
        )
        for job in jobs
    )


def end_all(job: Job) -> None:
    """As if every device had done it."""
    job.executions.update(
        status=ExecutionStatus.COMPLETED, finished_at=timezone.now(), offer_at=None, due_at=None
    )
    Job.objects.filter(pk=job.pk).update(
        status=JobStatus.COMPLETED, open=0, completed=job.total, completed_at=timezone.now()
    )


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def report(execution: JobExecution) -> None:
    services.report_outcome(
        device=execution.device,
        command_id=execution.execution_id,
        report=services.CommandReport(ExecutionStatus.COMPLETED),
    )


def order_site(site: Site, fields: dict[str, Any]) -> Job:
    return services.create_job(target=Target(site=site), **PING | fields)


def acknowledge(execution: JobExecution) -> None:
    services.acknowledge(device=execution.device, command_id=execution.execution_id)


def scoped_viewer(device: Device) -> APIClient:
    user = make_user(role=Role.VIEWER, site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=user, site=device.site)
    api = APIClient()
    api.credentials(HTTP_X_API_KEY=make_api_key(user))
    return api


def test_nothing_reads_a_large_table_whole(viewer):
    fleet = [device for _ in range(30) for device in make_fleet(100)]
    busy, other = make_device(), make_device()
    queue_up(busy, QUEUE)
    for _ in range(3):
        end_all(order_job(*fleet))
    new = {"collapse_key": "prices", "action": JobAction.UPDATE_CONFIG, "config_version": "9"}
    job = order_job(*fleet, **new)
    stopping, expired = order_job(busy, priority=40), order_job(fleet[14], ttl_seconds=1)
    now = timezone.now()
    order_job(*fleet[:5], **new, scheduled_at=now + HOUR)
    services.offer_work(busy.pk, now=now)
    services.cancel_job(job=stopping, actor=None)
    for device in fleet[10:12]:
        services.offer_work(device.pk, now=now)
    begun, done = (execution_of(job, device) for device in fleet[10:12])
    scoped = scoped_viewer(other)
    order_job(other)
    analyze()

    def get(path: str, api: APIClient = viewer) -> Any:
        return partial(api.get, f"/api/v1{path}")

    executions = f"/jobs/jobs/{job.job_id}/executions"
    # With the index that is there for it; "" where several would do.
    uses: list[tuple[Callable[[], Any], str]] = [
        (partial(services.offer_work, busy.pk, now=now), "execution_to_offer"),
        (partial(services.offer_work, busy.pk, now=now), "execution_to_stop"),
        (partial(acknowledge, begun), "execution_id"),
        (partial(report, done), "execution_id"),
        (partial(services.end_due_executions, now + 2 * SECOND), "execution_due"),
        (lambda: services.retry_job(job=again(expired), actor=None), ""),
        (partial(services.create_job, target=Target(device=other), **PING), ""),
        (partial(services.create_job, target=Target(site=other.site), **PING), ""),
        (partial(sweeps.release_scheduled_jobs, now + HOUR), "job_scheduled"),
        (partial(suspend_device, device=fleet[13], actor=None), "execution_open"),
        (partial(services.cancel_job, job=job, actor=None), ""),
        (get("/jobs/jobs"), "job_newest"),
        (get("/jobs/jobs?status=completed"), "job_status_newest"),
        (get(f"/jobs/jobs/{job.job_id}"), "job_id"),
        (get(executions), "execution_job_newest"),
        (get(f"{executions}?status=failed"), "execution_job_newest"),
        (get(f"/jobs/sites/{other.site.site_id}/jobs"), "job_site_newest"),
        (get(f"/devices/devices/{busy.device_id}/executions"), "execution_device_newest"),
        (get(f"/jobs/sites/{other.site.site_id}/work"), "execution_open"),
        (get("/jobs/jobs", scoped), "execution"),
    ]
    for use, index in uses:
        with explained() as plans:
            use()
        plans.assert_none_reads_all_of("job_executions", "jobs", "devices")
        assert plans.use(index), (index, plans.plans)
    with explained() as plans:
        get("/jobs/work")()
    assert plans.use("execution_failed")


@pytest.mark.parametrize("queue", [1, QUEUE])
def test_work_costs_a_device_the_same_whatever_its_queue(queue, count_statements):
    device = make_device()
    agent = client_of(device)
    agent.post("/api/v1/agent/check-in", {})  # the use of the key, and the status, are written
    queue_up(device, queue)

    # PostgreSQL: 1. the check-in, 2. the offer. SQLite sends their parts one by one.
    with count_statements(2 if connection.vendor == "postgresql" else 8):
        (command, *_) = agent.post("/api/v1/agent/check-in", {}).json()["commands"]
    path = f"/api/v1/devices/{command['command_id']}/status"
    # 1. the key, 2. the command, 3. it has begun, 4. and so has the job, 5. the audit row
    with count_statements(5):
        agent.post(f"/api/v1/devices/{device.device_id}/commands/{command['command_id']}/ack")
    # 1. the key, 2. the command, 3. it ended, 4. more of the job is not open,
    # 5. the job, 6. its failures, 7. its outcome, 8. the audit row
    with count_statements(8):
        agent.put(path, {"status": "completed"})
    # 1. the key, 2. the command, 3. which ended before, 4. and how
    with count_statements(4):
        agent.put(path, {"status": "completed"})


@pytest.mark.parametrize("size", [3, 30])
def test_work_costs_a_job_the_same_for_any_number_of_devices(size, count_statements):
    first, second, *_ = make_fleet(size)
    fields = {"collapse_key": "prices", "action": JobAction.UPDATE_CONFIG, "config_version": "9"}
    site = first.site
    # 1. the job and its executions, which SQLite counts first and takes one by one, 2. the lock,
    # which SQLite has not, 3. devices that should run another version, 4. do so now, 5. older
    # work, 6. the audit row
    with count_statements(6 if connection.vendor == "postgresql" else 7):
        order_site(site, fields)
    # Besides: it ends, the jobs are locked, the audit row that says so, what is open of the
    # older, which has none: the job, its failures, its outcome, the audit row
    with count_statements(14 if connection.vendor == "postgresql" else 15):
        job = order_site(site, {**fields, "config_version": "10"})
    for device in (first, second):
        services.offer_work(device.pk, now=timezone.now())
    execution = job.executions.select_related("device").get(device=first)
    acknowledge(execution)
    # 1. the command, 2. the version of the device, 3. the outcome, 4. the job's counters
    with count_statements(4):
        report(execution)
    # 1. what is over, 2. the executions, 3. the job, 4. those that wait, 5. those that have begun,
    # 6. the audit row, 7. the counters
    with count_statements(7):
        services.cancel_job(job=job, actor=None)
    assert Job.objects.get(pk=job.pk).open == 1
