"""When the service was alive, and the thread that says so."""

from __future__ import annotations

import os
import signal
import socket
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.utils import timezone

from devices import pulse as device_pulse
from devices.enums import LifecycleState
from devices.pace import pace
from devices.tests.factories import make_device
from homepot.models import ServicePulse
from homepot.pulse import Pulse, beat
from homepot.testing.processes import manage, wait_until
from homepot.testing.threads import run_together

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
INTERVAL = timedelta(seconds=60)
PATIENCE = timedelta(seconds=150)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

calls: list[datetime] = []
problems: list[Exception] = []


def task() -> None:
    calls.append(timezone.now())
    if problems:
        raise problems[0]


@pytest.fixture
def tasks(settings):
    calls.clear()
    problems.clear()
    settings.PULSE_TASKS = [f"{__name__}.task"]
    settings.PULSE_SECONDS = 0.01


def stored() -> tuple[datetime, datetime | None]:
    return ServicePulse.objects.values_list("beat_at", "grace_until").get()


@pytest.mark.django_db
def test_first_beat_counts_as_a_return():
    beat(NOW, INTERVAL, PATIENCE)
    assert stored() == (NOW, NOW + PATIENCE)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("before", "grace_before", "after", "grace"),
    [
        (NOW - 5 * SECOND, None, NOW, None),
        (NOW - INTERVAL, None, NOW, None),
        (NOW - INTERVAL - SECOND, None, NOW, NOW + PATIENCE),
        (NOW - INTERVAL - SECOND, NOW - INTERVAL, NOW, NOW + PATIENCE),
        (NOW - 5 * SECOND, NOW + SECOND, NOW, NOW + SECOND),
        (NOW + SECOND, None, NOW + SECOND, None),
        (NOW + DAY, None, NOW, NOW + PATIENCE),
        (NOW, NOW + DAY, NOW, NOW + PATIENCE),
        (NOW + DAY, NOW + DAY, NOW, NOW + PATIENCE),
    ],
    ids=[
        "alive",
        "just",
        "was away",
        "away again",
        "grace goes on",
        "another clock is ahead",
        "a clock was wrong",
        "a clock was wrong at a return",
        "a clock was wrong all along",
    ],
)
def test_beat(before, grace_before, after, grace):
    ServicePulse.objects.create(pk=1, beat_at=before, grace_until=grace_before)
    beat(NOW, INTERVAL, PATIENCE)
    assert stored() == (after, grace)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", [None, NOW - timedelta(hours=1)], ids=["first", "return"])
def test_beats_at_once_keep_the_grace(before):
    if before:
        ServicePulse.objects.create(pk=1, beat_at=before)
    moments = [NOW + number * SECOND / 10 for number in range(8)]

    run_together(*(partial(beat, moment, INTERVAL, PATIENCE) for moment in moments))

    beat_at, grace_until = stored()
    assert grace_until is not None
    assert grace_until - PATIENCE in moments
    assert beat_at in moments


@pytest.mark.django_db
def test_devices_count_when_they_are_active(monkeypatch):
    monkeypatch.setattr(pace, "active_devices", 0)
    monkeypatch.setattr(device_pulse, "_counted_at", None)
    make_device()
    make_device(lifecycle_state=LifecycleState.SUSPENDED)
    make_device(lifecycle_state=LifecycleState.RETIRED)

    device_pulse.count_active_devices()
    assert pace.active_devices == 1

    make_device()
    device_pulse.count_active_devices()
    assert pace.active_devices == 1  # a count is good for a minute


@pytest.mark.django_db
def test_beat_of_devices_gives_the_patience_of_the_pace(monkeypatch):
    monkeypatch.setattr(pace, "active_devices", 60_000)
    device_pulse.beat()
    beat_at, grace_until = stored()
    assert grace_until is not None
    assert grace_until - beat_at == timedelta(seconds=500)


@pytest.mark.django_db(transaction=True)
def test_thread_runs_the_tasks_until_it_is_stopped(tasks):
    thread = Pulse()
    thread.start()
    wait_until(lambda: len(calls) >= 3)
    thread.stop()
    assert not thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_thread_outlives_what_nobody_thought_of(tasks, caplog):
    problems.append(ZeroDivisionError())
    thread = Pulse()
    thread.start()
    wait_until(lambda: len(calls) >= 2)
    thread.stop()
    assert caplog.records[0].getMessage() == "The pulse missed a beat"


@pytest.mark.django_db(transaction=True)
def test_web_server_beats_until_it_ends():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quick = {"DEVICES__CHECK_IN_SECONDS": "1"}
    with manage("serve", "--port", str(port), "--workers", "1", **quick) as server:
        wait_until(ServicePulse.objects.exists, server)
        first, _ = stored()
        wait_until(lambda: stored()[0] > first, server)
        os.kill(server.pid, signal.SIGTERM)
        server.wait(10)
    last, _ = stored()
    assert last - first < timedelta(seconds=20)
