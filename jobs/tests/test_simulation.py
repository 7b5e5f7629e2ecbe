"""A simulated fleet with work to do."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from devices.enums import LifecycleState
from devices.models import Device
from devices.simulation.registration import prepare_fleet
from jobs.models import JobExecution
from jobs.tests.factories import order_job


@pytest.mark.django_db(transaction=True)
def test_simulation_brings_to_its_end_what_it_has_begun(live_server):
    prepare_fleet(device_count=8, site_count=2, on_progress=lambda ready: None)
    Device.objects.update(lifecycle_state=LifecycleState.ACTIVE)
    devices = Device.objects.all()
    order_job(*devices)
    # Which takes longer than the run.
    order_job(*devices, action="restart")
    output = io.StringIO()
    call_command(
        "simulate_fleet",
        *("--devices=8", "--sites=2", "--seconds=2", "--failure-rate=0.3", "--seed=4"),
        url=live_server.url,
        stdout=output,
    )
    ended = set(JobExecution.objects.values_list("status", "error_code"))
    assert ended == {("completed", ""), ("failed", "simulated_failure")}
    failed = JobExecution.objects.filter(status="failed").count()
    for label, count in (("received", 16), ("acknowledged", 16), ("failed", failed)):
        assert f"{label} {count}" in " ".join(output.getvalue().split())
