from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.tests.factories import make_user
from devices.device_health import DAY, HOUR, device_health
from devices.enums import DeviceStatus
from devices.models import HealthCheck, StatusChange
from devices.sweeps import roll_up_health_checks
from devices.tests.factories import make_device, make_health_check
from homepot.compiled import Asked
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db


def test_device_health_says_since_when_and_why(viewer, count_statements):
    now = timezone.now()
    device = make_device(
        status=DeviceStatus.ERROR,
        status_reason="No paper",
        status_since=now - timedelta(hours=6),
        last_seen=now,
        status_due_at=now + timedelta(minutes=2),
    )
    for hours, is_healthy in [(30, False), (20, True), (10, True), (1, False)]:
        make_health_check(
            device=device, is_healthy=is_healthy, checked_at=now - timedelta(hours=hours)
        )
    change = {"device": device, "reason": ""}
    moves = [(18, "online", "offline"), (6, "offline", "error")]
    for hours, old_status, new_status in moves:
        StatusChange.objects.create(
            at=now - timedelta(hours=hours), old_status=old_status, new_status=new_status, **change
        )

    # 1. the caller's key, 2. the device, its last check, and its last day
    with count_statements(2):
        answer = viewer.get(f"/api/v1/health/devices/{device.device_id}/health")

    body = answer.json()
    assert body["last_check"]["is_healthy"] is False
    assert body["last_check"]["device_id"] == device.device_id
    assert {name: body[name] for name in ("status", "status_reason", "site_id")} == {
        "status": "error",
        "status_reason": "No paper",
        "site_id": device.site.site_id,
    }
    # Of the last day it was away for 12 hours.
    assert body["last_24_hours"] == {
        "checks": 3,
        "unhealthy_checks": 1,
        "availability_percentage": pytest.approx(50, abs=0.01),
    }


def test_device_health_before_the_first_check(viewer):
    device = make_device()
    body = viewer.get(f"/api/v1/health/devices/{device.device_id}/health").json()
    assert (body["status"], body["last_check"]) == ("unknown", None)
    assert body["last_24_hours"] == {
        "checks": 0,
        "unhealthy_checks": 0,
        "availability_percentage": None,
    }
    assert viewer.get("/api/v1/health/devices/till-none/health").status_code == 404


def test_availability_counts_a_silence_that_no_sweep_has_seen(viewer):
    now = timezone.now()
    device = make_device(
        status=DeviceStatus.ONLINE,
        status_since=now - timedelta(days=9),
        last_seen=now - timedelta(hours=7),
        status_due_at=now - timedelta(hours=6),
    )
    body = viewer.get(f"/api/v1/health/devices/{device.device_id}/health").json()
    assert (body["status"], body["status_reason"]) == (
        "offline",
        f"No check-in since {device.last_seen:%Y-%m-%d %H:%M:%S} UTC.",
    )
    assert body["last_24_hours"]["availability_percentage"] == pytest.approx(75, abs=0.01)


@pytest.mark.parametrize("summed", [0, 3, 5, 7])
def test_last_day_counts_each_check_once_summed_up_or_not(summed):
    now = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
    device, other = make_device(), make_device()
    second = timedelta(seconds=1)
    day = [DAY + second, DAY, DAY - 30 * 60 * second, DAY / 2, HOUR / 2, second, 0 * second]
    for number, age in enumerate(day):
        if number == summed:
            roll_up_health_checks(now + HOUR)
        for each in (device, other):
            make_health_check(device=each, is_healthy=number % 2 == 0, checked_at=now - age)
    if summed == len(day):
        roll_up_health_checks(now + HOUR)
        # Of whole hours the sums are enough.
        HealthCheck.objects.filter(checked_at__gte=now - DAY + HOUR / 2).delete()

    asked = Asked(make_user(), now, {"device_id": device.device_id})
    last_day = device_health(asked)["last_24_hours"]

    assert (last_day["checks"], last_day["unhealthy_checks"]) == (6, 3)


@pytest.mark.parametrize("sites", [1, 3, 30])
def test_fleet_health_takes_two_statements(viewer, sites, count_statements):
    for _ in range(sites):
        make_device()
    # 1. the caller's key, 2. the devices by site and status
    with count_statements(2):
        answer = viewer.get("/api/v1/health/fleet")
    assert answer.json()["total_devices"] == sites


def test_fleet_health_puts_the_worst_site_first(viewer):
    good, bad = make_site(name="Good"), make_site(name="Bad")
    now = timezone.now()
    fresh = {"status_due_at": now + timedelta(minutes=2), "last_seen": now}
    make_device(site=good, status=DeviceStatus.ONLINE, **fresh)
    make_device(site=bad, status=DeviceStatus.ONLINE, **fresh)
    make_device(site=bad, status=DeviceStatus.ONLINE, status_due_at=now, last_seen=now)
    make_device(site=bad, status=DeviceStatus.ERROR, **fresh)

    body = viewer.get("/api/v1/health/fleet").json()

    assert [site["name"] for site in body["sites"]] == ["Bad", "Good"]
    assert body["sites"][0] == {
        "site_id": bad.site_id,
        "name": "Bad",
        "total_devices": 3,
        "healthy_devices": 1,
        "offline_devices": 1,
        "error_devices": 1,
        "maintenance_devices": 0,
        "unknown_devices": 0,
        "health_percentage": 33.3,
        "status_summary": "1/3 terminals healthy",
    }
    del body["sites"]
    assert body == {
        "total_devices": 4,
        "healthy_devices": 2,
        "offline_devices": 1,
        "error_devices": 1,
        "maintenance_devices": 0,
        "unknown_devices": 0,
        "health_percentage": 50.0,
    }


def test_status_changes_are_listed_newest_first(viewer):
    device = make_device()
    now = timezone.now()
    for minute, status in enumerate(["online", "error", "offline"]):
        StatusChange.objects.create(
            device=device,
            old_status="unknown",
            new_status=status,
            reason="why",
            at=now - timedelta(minutes=10 - minute),
        )
    path = f"/api/v1/devices/devices/{device.device_id}/status-changes"
    listed = viewer.get(path).json()["status_changes"]
    assert [change["new_status"] for change in listed] == ["offline", "error", "online"]
    only = viewer.get(path, {"new_status": "error"}).json()["status_changes"]
    assert [change["reason"] for change in only] == ["why"]
    assert viewer.get("/api/v1/devices/devices/till-none/status-changes").status_code == 404
