"""Sums over health checks agree with the checks, whatever happens on the way."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from devices import rollups
from devices.models import Device, HealthCheck, HealthRollup, RollupProgress, SiteMinute
from devices.models.rollup import RESPONSE_BUCKETS_MS
from devices.sweeps import roll_up_health_checks
from devices.tests.factories import make_device, make_health_check
from homepot.testing.processes import manage, wait_until
from homepot.testing.threads import run_together
from sites.tests.factories import make_site

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

# Loads as agents write them, and what else may stand there.
LOADS = [0, 12, 99.5, 100, 100.5, -1, 1e300, -0.0, True, None, "12", [12], {"cpu_usage": 12}]
DATA = [None, [], "cpu_usage", 7, {}, {"other": 1}]


def make_fleet() -> list[Device]:
    first, second = make_site(), make_site()
    return [make_device(site=first), make_device(site=first), make_device(site=second)]


def make_checks(devices: Sequence[Device], number: int, chance: random.Random) -> None:
    """Checks of some hours; ids and times are in no common order."""

    def some_data() -> Any:
        keys = [key for key in ("cpu_usage", "memory_usage", "disk_usage") if chance.random() < 0.7]
        return {key: chance.choice(LOADS) for key in keys} if keys else chance.choice(DATA)

    times = [NOW - timedelta(seconds=chance.randrange(10, 4 * 3600)) for _ in range(20)]
    edges = [edge + shift for edge in (0, *RESPONSE_BUCKETS_MS) for shift in (0, 1)]
    HealthCheck.objects.bulk_create(
        HealthCheck(
            device=chance.choice(devices),
            is_healthy=chance.random() < 0.8,
            response_time_ms=chance.choice([None, 2**31 - 1, *edges]),
            response_data=some_data(),
            checked_at=chance.choice(times) + chance.choice([0, 0.25, 59.999999]) * SECOND,
            # Some tell of an earlier time; the server's clock counts all the same.
            reported_at=chance.choice([None, NOW - chance.random() * timedelta(days=9)]),
        )
        for _ in range(number)
    )


def load(data: Any, key: str) -> float | None:
    value = data.get(key) if isinstance(data, dict) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 100 else None


def expected_hours() -> dict[Any, dict[str, float]]:
    groups = defaultdict(list)
    for check in HealthCheck.objects.all():
        hour = check.checked_at.replace(minute=0, second=0, microsecond=0)
        groups[check.device_id, hour].append(check)
    hours = {}
    for key, checks in groups.items():
        times = [c.response_time_ms for c in checks if c.response_time_ms is not None]
        sums: dict[str, float] = {
            "checks": len(checks),
            "unhealthy": sum(not check.is_healthy for check in checks),
            "response_count": len(times),
            "response_ms_sum": sum(times),
            "response_ms_max": max(times, default=0),
        }
        for name in ("cpu", "memory", "disk"):
            found = [load(check.response_data, f"{name}_usage") for check in checks]
            loads = [value for value in found if value is not None]
            sums |= {
                f"{name}_count": len(loads),
                f"{name}_sum": sum(loads),
                f"{name}_max": max(loads, default=0),
            }
        hours[key] = sums
    return hours


def expected_minutes() -> dict[Any, dict[str, int]]:
    groups: dict[Any, Counter[str]] = defaultdict(Counter)
    for check in HealthCheck.objects.select_related("device"):
        minute = check.checked_at.replace(second=0, microsecond=0)
        counts = groups[check.device.site_id, minute]
        counts["checks"] += 1
        counts["unhealthy"] += not check.is_healthy
        if check.response_time_ms is not None:
            bucket = next((b for b in RESPONSE_BUCKETS_MS if check.response_time_ms <= b), None)
            counts[f"up_to_{bucket}_ms" if bucket else "over_5000_ms"] += 1
    return {key: dict(counts) for key, counts in groups.items()}


def assert_rollups_agree() -> None:
    hours = {}
    for row in HealthRollup.objects.values():
        row.pop("id")
        hours[row.pop("device_id"), row.pop("hour")] = row
    assert hours == expected_hours()
    minutes = {}
    for row in SiteMinute.objects.values():
        row.pop("id")
        key = row.pop("site_id"), row.pop("minute")
        minutes[key] = {name: count for name, count in row.items() if count or name == "unhealthy"}
    assert minutes == expected_minutes()


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(4))
def test_rollups_agree_with_the_checks(seed, monkeypatch):
    chance = random.Random(seed)
    monkeypatch.setattr(rollups, "CHECKS_AT_ONCE", chance.choice([1, 7, 5000]))
    devices = make_fleet()
    total = 0
    for _ in range(4):
        number = chance.randrange(40)
        make_checks(devices, number, chance)
        assert roll_up_health_checks(NOW) == number
        total += number
        assert_rollups_agree()
    assert HealthCheck.objects.count() == total
    assert roll_up_health_checks(NOW) == 0


@pytest.mark.django_db
def test_checks_of_the_last_seconds_wait():
    check = make_health_check(checked_at=NOW)
    assert roll_up_health_checks(NOW + 4 * SECOND) == 0
    assert roll_up_health_checks(NOW + 5 * SECOND) == 1
    assert HealthRollup.objects.get().device_id == check.device_id


@pytest.mark.django_db
def test_gaps_between_ids_are_passed_over():
    first = make_health_check(checked_at=NOW)
    make_health_check(pk=first.pk + 10**12, checked_at=NOW)
    assert roll_up_health_checks(NOW + 5 * SECOND) == 2
    HealthCheck.objects.filter(pk__gt=first.pk).delete()
    make_health_check(pk=first.pk + 10**13, checked_at=NOW, device=first.device)
    assert roll_up_health_checks(NOW + 5 * SECOND) == 1


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_count_each_check_once(monkeypatch):
    monkeypatch.setattr(rollups, "CHECKS_AT_ONCE", 10)
    devices, chance = make_fleet(), random.Random(1)

    def roll_up_for_a_while() -> int:
        return sum(roll_up_health_checks(NOW) for _ in range(20))

    def write() -> int:
        for _ in range(20):
            make_checks(devices, 10, chance)
        return 0

    make_checks(devices, 100, chance)
    counted = run_together(roll_up_for_a_while, roll_up_for_a_while, write)
    assert sum(counted) + roll_up_health_checks(NOW) == 300
    assert_rollups_agree()


@pytest.mark.django_db(transaction=True)
def test_a_step_that_fails_leaves_no_trace(monkeypatch):
    make_checks(make_fleet(), 50, random.Random(1))
    RollupProgress.objects.create(pk=1, ceiling=HealthCheck.objects.latest("pk").pk)

    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        # The last thing a step does.
        patch.setattr("django.db.models.query.QuerySet.update", fail)
        with pytest.raises(ZeroDivisionError):
            rollups._roll_up_some()
    assert not HealthRollup.objects.exists()
    assert not SiteMinute.objects.exists()

    roll_up_health_checks(NOW)
    assert_rollups_agree()


ROLL_UP_SLOWLY = """
from django.utils import timezone
from devices import rollups
from devices.sweeps import roll_up_health_checks
rollups.CHECKS_AT_ONCE = 5
while True:
    roll_up_health_checks(timezone.now())
"""


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_loses_and_doubles_nothing():
    make_checks(make_fleet(), 2000, random.Random(1))
    HealthCheck.objects.update(checked_at=NOW - timedelta(days=700))
    last = HealthCheck.objects.latest("pk").pk

    def reached() -> int:
        return RollupProgress.objects.values_list("rolled_up_to", flat=True).first() or 0

    for _ in range(3):
        before = reached()
        with manage("shell", "-c", ROLL_UP_SLOWLY) as worker:
            wait_until(lambda before=before: reached() > before, worker)
            worker.kill()
            worker.wait()
    assert reached() < last

    while reached() < last:
        roll_up_health_checks(NOW)
    assert_rollups_agree()


def only_on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's writers take turns.")


@pytest.mark.django_db(transaction=True)
def test_a_check_that_becomes_visible_late_is_not_missed():
    only_on_postgresql()
    device, other = make_device(), make_device()
    with transaction.atomic():
        make_health_check(device=device, checked_at=NOW)
        # Of a higher id, and visible before.
        run_together(partial(make_health_check, device=other, checked_at=NOW))
        assert run_together(partial(roll_up_health_checks, NOW + 5 * SECOND)) == [0]
    assert HealthCheck.objects.first().device == other
    assert roll_up_health_checks(NOW + 5 * SECOND) == 2
    assert_rollups_agree()


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_began_later_is_not_waited_for():
    only_on_postgresql()
    device, other = make_device(), make_device()
    make_health_check(device=device, checked_at=NOW)
    rollups._raise_ceiling(NOW + 5 * SECOND)
    with transaction.atomic():
        make_health_check(device=other, checked_at=NOW)
        assert run_together(partial(roll_up_health_checks, NOW + 5 * SECOND)) == [1]
    assert roll_up_health_checks(NOW + 5 * SECOND) == 1
    assert_rollups_agree()


@pytest.mark.django_db(transaction=True)
def test_progress_that_comes_from_another_server_goes_on():
    make_health_check(checked_at=NOW)
    RollupProgress.objects.create(pk=1, ceiling=1, settled_after=2**40)
    assert roll_up_health_checks(NOW + 5 * SECOND) == 1
