"""What is old goes, in small steps; what is still needed stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import homepot.sweeps
from devices import sweeps
from devices.enums import DeviceStatus, EventKind
from devices.models import (
    Device,
    DeviceEvent,
    HealthCheck,
    HealthRollup,
    RollupProgress,
    SiteMinute,
    StatusChange,
)
from devices.sweeps import (
    prune_device_events,
    prune_health_checks,
    prune_health_rollups,
    prune_site_minutes,
    prune_status_changes,
    roll_up_health_checks,
)
from devices.tests.factories import make_device, make_health_check
from homepot.models import Sweep
from homepot.testing.threads import run_together
from sites.tests.factories import make_site

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def days(settings):
    settings.HISTORY_DAYS = 7
    settings.ROLLUP_DAYS = 400


def make_checks(device: Device, *ages: timedelta) -> list[HealthCheck]:
    return [make_health_check(device=device, checked_at=NOW - age) for age in ages]


def roll_up_all() -> None:
    RollupProgress.objects.update_or_create(
        pk=1, defaults=dict.fromkeys(("rolled_up_to", "ceiling"), 10**15)
    )


@pytest.mark.django_db
def test_old_checks_go_and_the_latest_of_each_device_stays():
    busy, silent, never = make_device(), make_device(), make_device()
    old = make_checks(busy, 9 * DAY, 8 * DAY, 7 * DAY + SECOND)
    kept = make_checks(busy, 7 * DAY, 3 * DAY)
    old += make_checks(silent, 300 * DAY)
    kept += make_checks(silent, 200 * DAY)
    # At the same moment, as in one batch: the one of the higher id came last.
    old += make_checks(never, 100 * DAY)
    kept += make_checks(never, 100 * DAY)
    roll_up_all()

    assert prune_health_checks(NOW) == len(old)
    assert set(HealthCheck.objects.all()) == set(kept)
    assert prune_health_checks(NOW) == 0


@pytest.mark.django_db
def test_latest_check_is_the_one_that_came_last_whatever_its_id():
    device = make_device()
    latest, earlier = make_checks(device, 10 * DAY, 11 * DAY)
    roll_up_all()
    assert prune_health_checks(NOW) == 1
    assert list(HealthCheck.objects.all()) == [latest]
    assert earlier not in HealthCheck.objects.all()


@pytest.mark.django_db
def test_checks_that_are_in_no_sum_stay():
    device = make_device()
    make_checks(device, 9 * DAY, 8 * DAY)
    assert prune_health_checks(NOW) == 0
    roll_up_health_checks(NOW)
    make_checks(device, 8 * DAY, SECOND)
    assert prune_health_checks(NOW) == 2
    assert HealthCheck.objects.count() == 2


@pytest.mark.django_db
def test_checks_are_pruned_in_small_steps(monkeypatch):
    monkeypatch.setattr(sweeps, "PRUNED_AT_ONCE", 10)
    device = make_device()
    make_checks(device, *[8 * DAY] * 25, *[DAY] * 25)
    roll_up_all()
    with CaptureQueriesContext(connection) as captured:
        assert prune_health_checks(NOW) == 25
    deletes = [q["sql"] for q in captured.captured_queries if q["sql"].startswith("DELETE")]
    assert len(deletes) == 3  # and nothing of the young rows was looked at twice


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_prune_each_row_once(monkeypatch):
    monkeypatch.setattr(sweeps, "PRUNED_AT_ONCE", 50)
    for _ in range(3):
        HealthCheck.objects.bulk_create(
            HealthCheck(device=device, is_healthy=True, checked_at=NOW - 8 * DAY)
            for device in [make_device()]
            for _ in range(200)
        )
    roll_up_all()
    Sweep.objects.create(name="devices.sweeps.prune_health_checks")
    counts = run_together(*[partial(prune_health_checks, NOW)] * 2)
    assert sum(counts) == 597
    assert HealthCheck.objects.count() == 3


@pytest.mark.django_db
def test_old_events_go():
    device = make_device()
    for age in (8 * DAY, 7 * DAY + SECOND, 7 * DAY, DAY):
        DeviceEvent.objects.create(device=device, kind=EventKind.LOG, at=NOW - age)
    assert prune_device_events(NOW) == 2
    assert DeviceEvent.objects.count() == 2


def zeros(model: type[HealthRollup] | type[SiteMinute]) -> dict[str, int]:
    others = ("id", "device", "site", "hour", "minute")
    return {field.name: 0 for field in model._meta.fields if field.name not in others}


@pytest.mark.django_db
def test_old_sums_go():
    device, site = make_device(), make_site()
    for age in (401 * DAY, 400 * DAY, 8 * DAY):
        HealthRollup.objects.create(device=device, hour=NOW - age, **zeros(HealthRollup))
    for age in (8 * DAY, 7 * DAY, DAY):
        SiteMinute.objects.create(site=site, minute=NOW - age, **zeros(SiteMinute))
    assert (prune_health_rollups(NOW), prune_site_minutes(NOW)) == (1, 1)
    assert HealthRollup.objects.count() == SiteMinute.objects.count() == 2


@pytest.mark.django_db
def test_old_status_changes_go_and_the_latest_of_each_device_stays():
    flapping, steady = make_device(), make_device()
    kept = []
    for device, *ages in (
        (flapping, 401 * DAY, 400 * DAY + SECOND, 400 * DAY, DAY),
        (steady, 900 * DAY, 800 * DAY, 800 * DAY),
    ):
        changes = [
            StatusChange.objects.create(
                device=device,
                old_status=DeviceStatus.UNKNOWN,
                new_status=DeviceStatus.ONLINE,
                at=NOW - age,
            )
            for age in ages
        ]
        kept += changes[2:]
    assert prune_status_changes(NOW) == 4
    assert set(StatusChange.objects.all()) == set(kept)


@pytest.mark.django_db
def test_runs_go_on_where_the_last_one_stopped(monkeypatch):
    monkeypatch.setattr(sweeps, "PRUNED_AT_ONCE", 10)
    monkeypatch.setattr(homepot.sweeps, "RUN_SECONDS", 0)  # each run takes one step
    Sweep.objects.create(name="devices.sweeps.prune_health_checks")
    silent = [make_device() for _ in range(25)]
    kept = [check for device in silent for check in make_checks(device, 9 * DAY)]
    make_checks(make_device(), *[8 * DAY] * 8, DAY)
    roll_up_all()

    # What has to stay fills two steps and a half.
    assert [prune_health_checks(NOW) for _ in range(4)] == [0, 0, 5, 3]

    # A new one lets an old one go, also behind the mark.
    make_checks(silent[0], SECOND)
    assert sum(prune_health_checks(NOW) for _ in range(4)) == 1
    assert not HealthCheck.objects.filter(pk=kept[0].pk).exists()
    assert HealthCheck.objects.filter(checked_at__lt=NOW - 7 * DAY).count() == 24
