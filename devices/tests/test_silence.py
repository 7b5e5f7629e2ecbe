"""Silence and the end of maintenance are written down, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.keys import digest_of
from devices import services, sweeps
from devices.advance import Moment
from devices.check_in import check_in
from devices.check_in.caller import Caller
from devices.enums import DeviceStatus
from devices.models import Device, StatusChange
from devices.reports import Report
from devices.status import HEALTHY_REASON, NEVER_SEEN_REASON, UNHEALTHY_REASON
from devices.sweeps import mark_silent_devices
from devices.taking_in import take_in_many
from devices.tests.factories import make_credential, make_device, make_fleet
from homepot.models import ServicePulse
from homepot.testing.plans import analyze, explained
from homepot.testing.threads import run_together

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
TOLD = 60 * SECOND
AGO = NOW - 3600 * SECOND
RECENTLY = NOW - 50 * SECOND
SILENT_REASON = "No check-in since 2026-06-01 11:00:00 UTC."

ONLINE = {
    "status": DeviceStatus.ONLINE,
    "status_reason": HEALTHY_REASON,
    "status_since": AGO,
    "status_due_at": RECENTLY,
    "last_seen": AGO,
}
MAINTAINED = ONLINE | {
    "status": DeviceStatus.MAINTENANCE,
    "maintenance_until": RECENTLY,
    "last_seen": RECENTLY,
}
OFFLINE = {"status": "offline", "status_reason": SILENT_REASON, "status_since": RECENTLY}
DUE_AGAIN = dict.fromkeys(("status_due_at", "sweep_at"), RECENTLY + 2.5 * TOLD)

CASES = [
    ("silent", ONLINE, OFFLINE),
    ("silent after an error", ONLINE | {"status": DeviceStatus.ERROR}, OFFLINE),
    (
        "silent, of whom nobody knows when it was last seen",
        ONLINE | {"last_seen": None},
        OFFLINE | {"status_reason": NEVER_SEEN_REASON},
    ),
    ("just silent", ONLINE | {"status_due_at": NOW}, OFFLINE | {"status_since": NOW}),
    ("not silent yet", ONLINE | {"status_due_at": NOW + SECOND}, None),
    ("never due", ONLINE | {"status_due_at": None}, None),
    (
        "maintenance ends, healthy",
        MAINTAINED,
        DUE_AGAIN | {"status": "online", "status_reason": HEALTHY_REASON},
    ),
    (
        "maintenance ends, failing",
        MAINTAINED | {"bad_checks": 1},
        DUE_AGAIN | {"status": "error", "status_reason": UNHEALTHY_REASON},
    ),
    ("maintenance ends, silent", MAINTAINED | {"last_seen": AGO}, OFFLINE),
    (
        "maintenance ends, never seen",
        MAINTAINED | {"last_seen": None},
        {"status": "unknown", "status_reason": NEVER_SEEN_REASON},
    ),
    ("maintenance goes on", MAINTAINED | {"status_due_at": NOW + SECOND}, None),
]


def stored_status() -> dict[str, object]:
    columns = ("status", "status_reason", "status_since", "status_due_at", "sweep_at")
    return Device.objects.values(*columns).get()


def seen_status() -> tuple[object, ...]:
    columns = ("current_status", "current_reason", "current_since")
    return Device.objects.with_status(NOW).values_list(*columns).get()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("device", "after"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_is_due_is_stored(device, after):
    made = make_device(**device)
    before, seen = stored_status(), seen_status()

    assert mark_silent_devices(NOW) == bool(after)

    due = {"status_due_at": None, "sweep_at": None, "status_since": RECENTLY}
    assert stored_status() == (before | due | after if after else before)
    # Whoever read it before reads the same now.
    assert seen_status() == seen
    changes = StatusChange.objects.values_list(
        "device", "old_status", "new_status", "reason", "evidence", "at"
    )
    stored = stored_status()
    expected = [
        made.pk,
        before["status"],
        stored["status"],
        stored["status_reason"],
        None,
        stored["status_since"],
    ]
    assert list(changes) == ([tuple(expected)] if after else [])
    assert mark_silent_devices(NOW) == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("pulse", "flips"),
    [
        ({"beat_at": NOW - 61 * SECOND}, 0),
        ({"beat_at": NOW, "grace_until": NOW + SECOND}, 0),
        ({"beat_at": NOW, "grace_until": NOW}, 1),
        ({"beat_at": NOW - 59 * SECOND}, 1),
    ],
    ids=["away", "came back", "grace is over", "alive"],
)
def test_nobody_is_silent_while_the_service_is_away(pulse, flips):
    ServicePulse.objects.create(pk=1, **pulse)
    make_device(**ONLINE)
    assert mark_silent_devices(NOW) == flips
    assert StatusChange.objects.count() == flips


def make_online_fleet(size: int, **fields: object) -> list[Device]:
    return make_fleet(size, **ONLINE | fields)


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_flip_5000_devices_once_each():
    make_online_fleet(5000)

    def sweep_until_done() -> int:
        total = 0
        while Device.objects.exclude(status=DeviceStatus.OFFLINE).exists():
            total += mark_silent_devices(NOW)
        return total

    counts = run_together(sweep_until_done, sweep_until_done)

    assert sum(counts) == 5000
    assert StatusChange.objects.count() == 5000
    assert StatusChange.objects.values("device").distinct().count() == 5000
    assert not Device.objects.exclude(**OFFLINE, status_due_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_check_ins_during_a_sweep_win(monkeypatch):
    # Small steps: many chances to meet.
    monkeypatch.setattr(sweeps, "SWEPT_AT_ONCE", 10)
    callers = [
        Caller(device.device_id, digest_of(make_credential(device)))
        for device in make_online_fleet(200)
    ]

    def check_in_all(callers: list[Caller]) -> int:
        for caller in callers:
            check_in(caller, Report(), told=TOLD, now=NOW)
        return 0

    run_together(
        partial(mark_silent_devices, NOW),
        partial(mark_silent_devices, NOW),
        partial(check_in_all, callers[:100]),
        partial(check_in_all, callers[:99:-1]),
    )

    assert not Device.objects.exclude(
        status=DeviceStatus.ONLINE, status_since=NOW, status_due_at=NOW + 2.5 * TOLD
    ).exists()
    histories: dict[int, list[tuple[str, str]]] = {}
    for device, *change in StatusChange.objects.order_by("id").values_list(
        "device", "old_status", "new_status"
    ):
        histories.setdefault(device, []).append((change[0], change[1]))
    assert len(histories) == 200
    for history in histories.values():
        assert history == [("online", "offline"), ("offline", "online")]
        assert all(earlier[1] == later[0] for earlier, later in pairwise(history))


@pytest.mark.django_db(transaction=True)
def test_a_device_that_is_checking_in_is_not_waited_for():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one lock for all writers.")
    busy, _ = make_online_fleet(2)
    with transaction.atomic():
        Device.objects.select_for_update(no_key=True).get(pk=busy.pk)
        assert run_together(partial(mark_silent_devices, NOW)) == [1]
        Device.objects.filter(pk=busy.pk).update(status_due_at=NOW + TOLD)
    assert mark_silent_devices(NOW) == 0
    busy.refresh_from_db()
    assert (busy.status, busy.sweep_at) == (DeviceStatus.ONLINE, NOW + TOLD)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("change", "becomes"),
    [
        (partial(services.set_maintenance, until=NOW + 10_000 * DAY), "maintenance"),
        (services.re_enrol_device, "unknown"),
        (services.retire_device, "offline"),
    ],
    ids=["maintenance", "re-enrolment", "retirement"],
)
def test_what_staff_change_first_writes_the_silence_down_once(change, becomes, monkeypatch):
    monkeypatch.setattr(sweeps, "SWEPT_AT_ONCE", 1)
    devices = make_online_fleet(10)

    def change_all() -> int:
        for device in devices:
            change(device=device, actor=None)
        return 0

    run_together(change_all, partial(mark_silent_devices, NOW))

    for device in devices:
        silence, *further = StatusChange.objects.filter(device=device).order_by("id")
        assert (silence.old_status, silence.new_status) == ("online", "offline")
        assert (silence.reason, silence.at) == (SILENT_REASON, RECENTLY)
        moves = [(change.old_status, change.new_status) for change in further]
        assert moves == ([("offline", becomes)] if becomes != "offline" else [])
    assert set(Device.objects.values_list("status", flat=True)) == {becomes}


@pytest.mark.django_db
def test_cost_follows_the_number_of_flips(count_statements):
    make_online_fleet(20)
    make_online_fleet(20, status_due_at=NOW + TOLD, sweep_at=RECENTLY)
    # 1. whom to look at, 2. devices, 3. status changes, 4. those heard meanwhile, 5. nobody more
    with count_statements(5):
        assert mark_silent_devices(NOW) == 20
    assert Device.objects.filter(sweep_at=NOW + TOLD).count() == 20


@pytest.mark.django_db
def test_a_device_is_online_until_the_first_sweep_after_its_time():
    device = make_device()
    caller = Caller(device.device_id, digest_of(make_credential(device)))
    online_until = NOW + 10 * TOLD + 2.5 * TOLD
    looks = []
    for now in (NOW + second * SECOND for second in range(0, 15 * 60, 5)):
        if now <= NOW + 10 * TOLD and (now - NOW) % TOLD == 0 * SECOND:
            check_in(caller, Report(), told=TOLD, now=now)
        # Just after it checked in, and at all times between.
        assert mark_silent_devices(now) == (now == online_until)
        device.refresh_from_db()
        assert device.status == ("online" if now < online_until else "offline")
        if device.sweep_at not in looks:
            looks.append(device.sweep_at)
    # Not at every check-in: it is looked at when its time would have come without those since.
    assert looks == [*(NOW + minute * TOLD for minute in (2.5, 4.5, 6.5, 8.5, 10.5, 12.5)), None]


@pytest.mark.django_db
def test_those_who_were_heard_keep_nobody_from_being_swept(monkeypatch):
    monkeypatch.setattr(sweeps, "SWEPT_AT_ONCE", 2)
    make_online_fleet(5, status_due_at=NOW + TOLD, sweep_at=AGO)
    make_online_fleet(1)
    assert mark_silent_devices(NOW) == 1
    assert not Device.objects.filter(sweep_at__lte=NOW).exists()


@pytest.mark.django_db
def test_the_sweep_follows_maintenance_that_is_moved_and_ended():
    now = timezone.now()
    device = make_device(**ONLINE | {"status_due_at": now + TOLD, "last_seen": now})
    hour = 3600 * SECOND
    for until, due_at in (
        (now + 2 * hour, now + 2 * hour),
        (now + hour, now + hour),
        (now + 3 * hour, now + 3 * hour),
        (None, now + 2.5 * TOLD),
    ):
        services.set_maintenance(device=device, until=until, actor=None)
        device.refresh_from_db()
        assert (device.status_due_at, device.sweep_at) == (due_at, due_at)
    assert mark_silent_devices(now + 2.5 * TOLD) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("due_at", "sweep_at"), [(NOW, NOW + SECOND), (NOW, None), (None, NOW)])
def test_a_device_that_no_sweep_would_find_in_time_is_refused(due_at, sweep_at):
    with pytest.raises(IntegrityError, match="device_swept_when_due"):
        make_device(status_due_at=due_at, sweep_at=sweep_at)


@pytest.mark.django_db
def test_check_ins_leave_the_indexes_of_the_fleet_alone():
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL writes a row anew, and can leave its entries in indexes.")
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE devices CASCADE")  # a page that is full of others has no room
    device = make_device(**ONLINE | {"status_due_at": NOW + TOLD, "last_seen": NOW})
    caller = Caller(device.device_id, digest_of(make_credential(device)))
    before = updates_of_devices()

    for second in range(5):
        check_in(caller, Report(), told=TOLD, now=NOW + second * SECOND)
    moment = Moment(now=NOW + 5 * SECOND, silent_at=NOW + 5 * SECOND + 2.5 * TOLD)
    device.refresh_from_db()
    take_in_many([(device, Report())], moment, reported_by=None, service_was_away=False)

    assert [after - count for after, count in zip(updates_of_devices(), before, strict=True)] == [
        6,
        6,
    ]


def updates_of_devices() -> tuple[int, int]:
    """In this transaction: all, and those without new entries in indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_get_xact_tuples_updated('devices'::regclass),"
            " pg_stat_get_xact_tuples_hot_updated('devices'::regclass)"
        )
        return cursor.fetchone()


@pytest.mark.django_db
def test_sweep_reads_the_index_and_never_the_fleet():
    # Enough, and with enough to tell of each, that reading them all would be slow.
    make_online_fleet(10_000, status_due_at=NOW + TOLD, os_details={"about": "x" * 1500})
    due = {"status_due_at": RECENTLY, "sweep_at": RECENTLY}
    Device.objects.filter(pk__in=Device.objects.values("pk")[:40]).update(**due)
    analyze()

    with explained() as plans:
        assert mark_silent_devices(NOW) == 40

    plans.assert_none_reads_all_of("devices")
    assert plans.use("device_sweep")
