"""The worker as a process of its own, with the sweeps that it has in earnest."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from devices.enums import DeviceStatus
from devices.models import Device, HealthRollup, StatusChange
from devices.tests.factories import make_device, make_health_check
from homepot.models import Sweep
from homepot.sweeps import sweep_states
from homepot.testing.processes import manage, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def make_silent_device() -> Device:
    ago = timezone.now() - timedelta(hours=1)
    device = make_device(
        status=DeviceStatus.ONLINE, last_seen=ago, status_due_at=ago + timedelta(seconds=150)
    )
    make_health_check(device=device, checked_at=ago)
    return device


def wait_until_working(worker):
    """Wait for the line a worker begins with; before it, a signal ends it at once."""
    assert worker.stderr
    line = worker.stderr.readline()
    while "Working on" not in line:
        assert line, "it ended before it worked"
        line = worker.stderr.readline()


def test_workers_share_the_work_and_end_when_told_to():
    make_silent_device()
    with manage("run_worker") as first, manage("run_worker") as second:
        wait_until(lambda: HealthRollup.objects.exists() and StatusChange.objects.exists(), first)
        late = make_silent_device()
        # A sweep comes by every few seconds.
        wait_until(lambda: late.status_changes.exists(), second)
        for worker in (first, second):
            wait_until_working(worker)
            worker.terminate()
        for worker in (first, second):
            assert worker.wait(5) == 0
    assert StatusChange.objects.count() == 2
    assert not Sweep.objects.exclude(lease_until=None, last_error="").exists()


def test_once_does_all_that_is_due():
    device = make_silent_device()
    call_command("run_worker", "--once")
    device.refresh_from_db()
    assert device.status == DeviceStatus.OFFLINE
    assert device.rollups.count() == 1
    states = sweep_states(timezone.now())
    assert [state.name for state in states] == list(settings.SWEEPS)
    assert not any(state.is_overdue or state.last_error for state in states)
