from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership, User
from accounts.tests.factories import make_user
from devices.enums import DeviceStatus, LifecycleState
from devices.fleet import (
    DAY,
    MinuteNumber,
    fleet_now,
    last_hour,
    minute_number,
    status_history,
)
from devices.models import Device, SiteMinute
from devices.models.rollup import RESPONSE_BUCKETS_MS
from devices.tests.factories import make_device, make_status_change
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 31, 12, 10, 30, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)
ONLINE, OFFLINE, ERROR = DeviceStatus.ONLINE, DeviceStatus.OFFLINE, DeviceStatus.ERROR
UNKNOWN = DeviceStatus.UNKNOWN


@pytest.fixture
def viewer() -> User:
    return make_user(role=Role.VIEWER)


def scoped(site: Site) -> User:
    user = make_user(site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=user, site=site)
    return user


def till(status: str = ONLINE, **fields: Any) -> Device:
    return make_device(status=status, **{"created_at": LONG_AGO} | fields)


def flip(device: Device, old: str, new: str, **ago: float) -> None:
    at = NOW - timedelta(**ago)
    make_status_change(device, old_status=old, new_status=new, at=at)


def history(user: User) -> list[dict[str, int]]:
    return [dict(counts) for counts in status_history(user, fleet_now(user, NOW), NOW)]


def test_minutes_are_numbered_alike_in_the_database_and_here(viewer):
    moments = [NOW, NOW.replace(second=59, microsecond=999_999), NOW.replace(minute=11, second=0)]
    for moment in moments:
        device = make_device(created_at=moment)
        found = Device.objects.filter(pk=device.pk).values_list(MinuteNumber(F("created_at")))
        assert found.get() == (minute_number(moment),)


def test_fleet_counts_what_readers_see_and_what_is_stored(viewer):
    site = make_site(name="Main")
    till(site=site)
    # Silent, and nobody has written it down yet.
    till(site=site, status_due_at=NOW - timedelta(minutes=1), last_seen=NOW - timedelta(minutes=9))
    till(ERROR)
    till(lifecycle_state=LifecycleState.RETIRED)

    fleet = fleet_now(viewer, NOW)

    assert fleet.now == Counter({ONLINE: 1, OFFLINE: 1, ERROR: 1})
    assert fleet.stored == Counter({ONLINE: 2, ERROR: 1})
    own = fleet_now(scoped(site), NOW)
    assert [(found.name, found.counts) for found in own.sites] == [
        ("Main", Counter({ONLINE: 1, OFFLINE: 1}))
    ]


def test_worst_site_comes_first(viewer):
    def site(name: str, *statuses: str) -> None:
        place = make_site(name=name)
        for status in statuses:
            till(status, site=place)

    site("well", ONLINE, ONLINE)
    site("not heard of yet", UNKNOWN)
    site("one offline", OFFLINE, ONLINE)
    site("one in error", ERROR, ONLINE)
    site("half in error", ERROR, ONLINE, ONLINE)
    site("many offline", OFFLINE, OFFLINE, ONLINE)

    names = [found.name for found in fleet_now(viewer, NOW).worst_first()]

    assert names == [
        "many offline",
        "one in error",
        "half in error",
        "one offline",
        "not heard of yet",
        "well",
    ]


def test_history_is_the_worst_minute_of_each_half_hour(viewer):
    steady = till()
    short = till()
    flip(short, ONLINE, OFFLINE, minutes=25)
    flip(short, OFFLINE, ONLINE, minutes=20)
    still = till(ERROR)
    flip(still, ONLINE, ERROR, hours=3)

    found = history(viewer)

    times = DAY.times(NOW)
    assert len(found) == len(times) == 48
    assert times[-1] == NOW.replace(minute=0, second=0)
    by_time = dict(zip(times, found, strict=True))
    assert by_time[NOW.replace(minute=0, second=0)] == {ONLINE: 2, ERROR: 1}
    assert by_time[NOW.replace(hour=11, minute=30, second=0)] == {ONLINE: 1, OFFLINE: 1, ERROR: 1}
    assert by_time[NOW.replace(hour=9, minute=0, second=0)] == {ONLINE: 2, ERROR: 1}
    assert by_time[NOW.replace(hour=8, minute=30, second=0)] == {ONLINE: 3}
    assert found[0] == {ONLINE: 3}
    assert steady.status == ONLINE


def test_history_begins_with_the_device(viewer):
    added = till(created_at=NOW - timedelta(hours=2))
    flip(added, UNKNOWN, ONLINE, hours=1)
    retired = till(lifecycle_state=LifecycleState.RETIRED)
    flip(retired, ONLINE, OFFLINE, hours=5)

    found = history(viewer)

    assert found[-1] == {ONLINE: 1}
    assert found[-4] == {UNKNOWN: 1}
    assert found[0] == {}


def test_what_is_not_stored_yet_shows_in_the_last_step_alone(viewer):
    till(status_due_at=NOW - timedelta(minutes=1), last_seen=NOW - timedelta(minutes=9))
    found = history(viewer)
    assert (found[-1], found[-2]) == ({OFFLINE: 1}, {ONLINE: 1})


def test_history_is_of_the_readers_sites():
    mine, theirs = till(), till()
    for device in (mine, theirs):
        flip(device, OFFLINE, ONLINE, hours=6)
    assert history(scoped(mine.site))[0] == {OFFLINE: 1}


def test_last_hour_sums_the_minutes_of_the_readers_sites(viewer):
    def minute(site: Site, at: datetime, checks: int) -> None:
        buckets = {f"up_to_{limit}_ms": 0 for limit in RESPONSE_BUCKETS_MS}
        buckets["up_to_50_ms"] = checks
        SiteMinute.objects.create(
            site=site, minute=at, checks=checks, unhealthy=1, over_5000_ms=0, **buckets
        )

    mine, theirs = make_site(), make_site()
    newest = NOW.replace(minute=9, second=0)
    minute(mine, newest, 3)
    minute(theirs, newest, 4)
    minute(mine, newest - timedelta(minutes=59), 5)
    minute(mine, newest - timedelta(minutes=60), 100)
    # Under way, or not summed up yet.
    minute(mine, newest + timedelta(minutes=1), 100)

    times, sums = last_hour(viewer, NOW)

    assert (times[0], times[-1], len(times)) == (newest - timedelta(minutes=59), newest, 60)
    assert [one["checks"] for one in sums] == [5, *[0] * 58, 7]
    assert (sums[-1]["unhealthy"], sums[-1]["up_to_50_ms"]) == (2, 7)
    _, own = last_hour(scoped(mine), NOW)
    assert own[-1]["checks"] == 3
