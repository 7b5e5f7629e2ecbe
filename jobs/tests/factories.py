"""Valid jobs and executions."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import Any

from devices.models import Device
from jobs import services
from jobs.enums import JobAction, JobPriority
from jobs.models import Job, JobExecution
from jobs.targets import Target
from sites.tests.factories import make_site

numbers = count(1)


def make_job(**fields: Any) -> Job:
    """A pending ping of no device yet, at a site of its own unless `site` is given."""
    number = next(numbers)
    if "site" not in fields:
        fields["site"] = make_site()
    return Job.objects.create(**{"job_id": f"job-{number:08}", "action": JobAction.PING} | fields)


def order_job(*devices: Device, **fields: Any) -> Job:
    """A job for `devices` as the system itself makes it: a ping unless `action` is given."""
    defaults = {"action": JobAction.PING, "priority": JobPriority.NORMAL, "actor": None}
    target = Target(device_ids=[device.device_id for device in devices])
    return services.create_job(target=target, **defaults | fields)


def execution_of(job: Job, device: Device | None = None) -> JobExecution:
    """The execution of `job` at `device`, or its only one."""
    executions = job.executions.all()
    return executions.get(device=device) if device else executions.get()


def offer(device: Device, now: datetime) -> list[str]:
    """Fetch the work of `device`; the ids of the commands it is given."""
    return [str(command.command_id) for command in services.offer_work(device.pk, now=now).commands]
