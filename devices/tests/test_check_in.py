"""One table of check-ins, the same on both engines, and what each leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.keys import digest_of
from audit.models import AuditLog
from devices.advance import Moment
from devices.check_in import check_in
from devices.check_in.caller import Caller
from devices.enums import DeviceStatus, LifecycleState
from devices.models import Device, HealthCheck, StatusChange
from devices.reports import Report
from devices.status import HEALTHY_REASON, NEVER_SEEN_REASON, UNHEALTHY_REASON
from devices.taking_in import take_in, take_in_many
from devices.tests.factories import make_credential, make_device
from homepot.models import ServicePulse

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TOLD = timedelta(seconds=60)
SILENT_AT = NOW + 2.5 * TOLD
AGO = NOW - timedelta(hours=1)
RECENTLY = NOW - timedelta(seconds=50)
SOON = NOW + timedelta(seconds=50)


@dataclass
class Case:
    """What the device was, what came, and what differs afterwards."""

    name: str
    report: Report | None = field(default_factory=Report)
    device: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    changes: list[tuple[str, str, str, datetime]] = field(default_factory=list)
    checks: int = 1


ONLINE = {
    "status": DeviceStatus.ONLINE,
    "status_reason": HEALTHY_REASON,
    "status_since": AGO,
    "status_due_at": SOON,
    "last_seen": RECENTLY,
    "last_check_healthy": True,
}
FAILING = ONLINE | {
    "status": DeviceStatus.ERROR,
    "status_reason": "No paper",
    "last_check_healthy": False,
    "bad_checks": 1,
}
SILENT = ONLINE | {"status_due_at": RECENTLY, "last_seen": AGO}
OFFLINE = SILENT | {
    "status": DeviceStatus.OFFLINE,
    "status_reason": "No check-in since 2026-06-01 11:00:00 UTC.",
    "status_since": RECENTLY,
    "status_due_at": None,
}
MAINTAINED = ONLINE | {
    "status": DeviceStatus.MAINTENANCE,
    "status_reason": "In maintenance until 2026-06-01 11:59:10 UTC.",
    "status_due_at": RECENTLY,
    "maintenance_until": RECENTLY,
}
# The sweep looks at it when it was to, if that is ahead.
SEEN = {"last_seen": NOW, "status_due_at": SILENT_AT}
SWEPT_ANEW = {"sweep_at": SILENT_AT}
TURNED_ONLINE = SEEN | {
    "status": "online",
    "status_reason": HEALTHY_REASON,
    "status_since": NOW,
    "last_check_healthy": True,
    "bad_checks": 0,
}

CASES = [
    Case(
        "first check-in",
        after=TURNED_ONLINE | SWEPT_ANEW,
        changes=[("unknown", "online", HEALTHY_REASON, NOW)],
    ),
    Case(
        "first check-in of a pending device",
        device={"lifecycle_state": LifecycleState.PENDING},
        after=TURNED_ONLINE | SWEPT_ANEW | {"lifecycle_state": "active"},
        changes=[("unknown", "online", HEALTHY_REASON, NOW)],
    ),
    Case("still online", device=ONLINE, after=SEEN),
    Case(
        "still online, to be swept this moment",
        device=ONLINE | {"sweep_at": NOW},
        after=SEEN | SWEPT_ANEW,
    ),
    Case(
        "still online, told to come again sooner than before",
        device=ONLINE | {"status_due_at": SILENT_AT + TOLD},
        after=SEEN | SWEPT_ANEW,
    ),
    Case(
        "online turns bad",
        report=Report(is_healthy=False, error_message="No paper"),
        device=ONLINE,
        after=SEEN
        | {
            "status": "error",
            "status_reason": "No paper",
            "status_since": NOW,
            "bad_checks": 1,
            "last_check_healthy": False,
        },
        changes=[("online", "error", "No paper", NOW)],
    ),
    Case(
        "bad without a word",
        report=Report(is_healthy=False),
        device=ONLINE,
        after=SEEN
        | {
            "status": "error",
            "status_reason": UNHEALTHY_REASON,
            "status_since": NOW,
            "bad_checks": 1,
            "last_check_healthy": False,
        },
        changes=[("online", "error", UNHEALTHY_REASON, NOW)],
    ),
    Case(
        "still bad, for another reason",
        report=Report(is_healthy=False, error_message="x" * 600),
        device=FAILING,
        after=SEEN | {"status_reason": "x" * 500, "bad_checks": 2},
    ),
    Case(
        "recovers",
        device=FAILING,
        after=TURNED_ONLINE,
        changes=[("error", "online", HEALTHY_REASON, NOW)],
    ),
    Case(
        "comes back, before a sweep wrote its silence down",
        device=SILENT,
        after=SEEN | SWEPT_ANEW | {"status_since": NOW},
        changes=[
            ("online", "offline", "No check-in since 2026-06-01 11:00:00 UTC.", RECENTLY),
            ("offline", "online", HEALTHY_REASON, NOW),
        ],
    ),
    Case(
        "comes back at the moment its silence was due",
        device=SILENT | {"status_due_at": NOW},
        after=SEEN | SWEPT_ANEW | {"status_since": NOW},
        changes=[
            ("online", "offline", "No check-in since 2026-06-01 11:00:00 UTC.", NOW),
            ("offline", "online", HEALTHY_REASON, NOW),
        ],
    ),
    Case(
        "comes back, of whom nobody knows when it was last seen",
        device=SILENT | {"last_seen": None},
        after=SEEN | SWEPT_ANEW | {"status_since": NOW},
        changes=[
            ("online", "offline", NEVER_SEEN_REASON, RECENTLY),
            ("offline", "online", HEALTHY_REASON, NOW),
        ],
    ),
    Case(
        "comes back, after the sweep",
        device=OFFLINE,
        after=TURNED_ONLINE | SWEPT_ANEW,
        changes=[("offline", "online", HEALTHY_REASON, NOW)],
    ),
    Case(
        "in maintenance",
        report=Report(is_healthy=False),
        device=ONLINE | {"maintenance_until": SOON},
        after={
            "last_seen": NOW,
            "status": "maintenance",
            "status_reason": "In maintenance until 2026-06-01 12:00:50 UTC.",
            "status_since": NOW,
            "status_due_at": SOON,
            "bad_checks": 1,
            "last_check_healthy": False,
        },
        changes=[("online", "maintenance", "In maintenance until 2026-06-01 12:00:50 UTC.", NOW)],
    ),
    Case(
        "in maintenance, which ends before it was to be swept",
        device=ONLINE
        | {"status_due_at": SILENT_AT, "maintenance_until": SOON, "status": "maintenance"},
        after={
            "last_seen": NOW,
            "status_reason": "In maintenance until 2026-06-01 12:00:50 UTC.",
            "status_due_at": SOON,
            "sweep_at": SOON,
        },
    ),
    Case(
        "after maintenance",
        device=ONLINE | {"maintenance_until": RECENTLY, "status": DeviceStatus.MAINTENANCE},
        after=TURNED_ONLINE,
        changes=[("maintenance", "online", HEALTHY_REASON, NOW)],
    ),
    Case(
        "after maintenance that no sweep saw end",
        device=MAINTAINED,
        after=TURNED_ONLINE | SWEPT_ANEW | {"status_since": RECENTLY},
        changes=[("maintenance", "online", HEALTHY_REASON, RECENTLY)],
    ),
    Case(
        "after maintenance, silent since",
        device=MAINTAINED | {"last_seen": AGO},
        after=TURNED_ONLINE | SWEPT_ANEW,
        changes=[
            ("maintenance", "offline", "No check-in since 2026-06-01 11:00:00 UTC.", RECENTLY),
            ("offline", "online", HEALTHY_REASON, NOW),
        ],
    ),
    Case(
        "after maintenance, before which it was never seen",
        device=MAINTAINED | {"last_seen": None},
        after=TURNED_ONLINE | SWEPT_ANEW,
        changes=[
            ("maintenance", "unknown", NEVER_SEEN_REASON, RECENTLY),
            ("unknown", "online", HEALTHY_REASON, NOW),
        ],
    ),
    Case(
        "after maintenance, still bad",
        report=Report(is_healthy=False, error_message="No paper"),
        device=MAINTAINED | {"bad_checks": 1},
        after=SEEN
        | SWEPT_ANEW
        | {
            "status": "error",
            "status_reason": "No paper",
            "status_since": RECENTLY,
            "bad_checks": 2,
            "last_check_healthy": False,
        },
        changes=[("maintenance", "error", UNHEALTHY_REASON, RECENTLY)],
    ),
    Case(
        "after maintenance, a heartbeat of a failing device",
        report=None,
        device=MAINTAINED | {"bad_checks": 1},
        after=SEEN
        | SWEPT_ANEW
        | {"status": "error", "status_reason": UNHEALTHY_REASON, "status_since": RECENTLY},
        changes=[("maintenance", "error", UNHEALTHY_REASON, RECENTLY)],
        checks=0,
    ),
    Case(
        "after maintenance, late",
        report=Report(reported_at=AGO),
        device=MAINTAINED | {"last_reported_at": RECENTLY},
        after={"last_seen": NOW},
    ),
    Case(
        "late: kept, seen, but no news",
        report=Report(is_healthy=False, reported_at=AGO),
        device=ONLINE | {"last_reported_at": RECENTLY},
        after=SEEN,
    ),
    Case(
        "late, of a device that is silent",
        report=Report(reported_at=AGO),
        device=SILENT | {"last_reported_at": RECENTLY},
        after={"last_seen": NOW},
    ),
    Case(
        "newer than the last, by the device's clock",
        report=Report(is_healthy=True, reported_at=RECENTLY),
        device=FAILING | {"last_reported_at": AGO},
        after=TURNED_ONLINE | {"last_reported_at": RECENTLY},
        changes=[("error", "online", HEALTHY_REASON, NOW)],
    ),
    Case(
        "a clock that runs ahead is clipped to ours",
        report=Report(reported_at=NOW + timedelta(days=365)),
        device=ONLINE,
        after=SEEN | {"last_reported_at": NOW},
    ),
    Case("heartbeat", report=None, device=ONLINE, after=SEEN, checks=0),
    Case("heartbeat of a failing device", report=None, device=FAILING, after=SEEN, checks=0),
    Case(
        "heartbeat after silence",
        report=None,
        device=OFFLINE,
        after=SEEN
        | SWEPT_ANEW
        | {"status": "online", "status_reason": HEALTHY_REASON, "status_since": NOW},
        changes=[("offline", "online", HEALTHY_REASON, NOW)],
        checks=0,
    ),
    Case(
        "versions it runs",
        report=Report(firmware_version="2.0", config_version="v7"),
        device=ONLINE,
        after=SEEN | {"firmware_version": "2.0", "config_version": "v7"},
    ),
]


def columns_of(device: Device) -> dict[str, Any]:
    return Device.objects.filter(pk=device.pk).values().get()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_check_in(case, count_statements):
    device = make_device(**{"status_since": AGO} | case.device)
    key = make_credential(device)
    before = columns_of(device)
    caller = Caller(device.device_id, digest_of(key))

    is_postgresql = connection.vendor == "postgresql"
    with count_statements(1 if is_postgresql else 5, or_fewer=not is_postgresql):
        answer = check_in(caller, case.report, told=TOLD, now=NOW)

    assert columns_of(device) == before | case.after
    assert answer is not None
    assert answer.status == (before | case.after)["status"]
    changes = StatusChange.objects.order_by("id")
    assert [
        (change.old_status, change.new_status, change.reason, change.at) for change in changes
    ] == case.changes
    checks = list(HealthCheck.objects.all())
    assert len(checks) == case.checks
    # What was due before has none.
    shown_now = [checks[0].pk] if checks else [None]
    assert [change.evidence for change in changes if change.at == NOW][-1:] in ([], shown_now)
    assert not AuditLog.objects.exists()


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.report], ids=lambda case: case.name
)
def test_batch_of_one_does_what_a_check_in_does(case):
    device = make_device(**{"status_since": AGO} | case.device)
    before = columns_of(device)
    moment = Moment(now=NOW, silent_at=SILENT_AT)

    take_in_many([(device, case.report)], moment, reported_by=None, service_was_away=False)

    assert columns_of(device) == before | case.after | {"lifecycle_state": device.lifecycle_state}
    changes = StatusChange.objects.order_by("id")
    assert [
        (change.old_status, change.new_status, change.reason, change.at) for change in changes
    ] == case.changes
    assert HealthCheck.objects.count() == case.checks


REFUSED = [
    ("wrong key", {}, {"key_digest": digest_of("hpd_wrong")}, {}),
    ("unknown id", {}, {"device_id": "till-none"}, {}),
    ("revoked key", {}, {}, {"revoked_at": AGO}),
    ("expired key", {}, {}, {"expires_at": NOW}),
]


@pytest.mark.parametrize(
    ("device_fields", "caller_fields", "key_fields"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
def test_check_in_refuses_and_writes_nothing(device_fields, caller_fields, key_fields):
    device = make_device(**device_fields)
    digest = digest_of(make_credential(device, **key_fields))
    before = columns_of(device)
    caller = Caller(**{"device_id": device.device_id, "key_digest": digest} | caller_fields)

    assert check_in(caller, Report(), told=TOLD, now=NOW) is None
    assert columns_of(device) == before
    assert not HealthCheck.objects.exists()


def test_a_key_speaks_for_its_own_device_only():
    device, other = make_device(), make_device()
    caller = Caller(other.device_id, digest_of(make_credential(device)))
    assert check_in(caller, Report(), told=TOLD, now=NOW) is None


@pytest.mark.parametrize("state", [LifecycleState.SUSPENDED, LifecycleState.RETIRED])
def test_suspended_and_retired_devices_are_told_so(state):
    device = make_device(lifecycle_state=state)
    before = columns_of(device)
    caller = Caller(device.device_id, digest_of(make_credential(device)))

    answer = check_in(caller, Report(), told=TOLD, now=NOW)

    assert answer is not None
    assert (answer.lifecycle_state, answer.status) == (state, None)
    assert columns_of(device) == before
    assert not HealthCheck.objects.exists()


def test_a_report_sent_again_is_one_check():
    device = make_device()
    caller = Caller(device.device_id, digest_of(make_credential(device)))
    report = Report(is_healthy=False, reported_at=RECENTLY)

    for second in range(3):
        check_in(caller, report, told=TOLD, now=NOW + timedelta(seconds=second))

    device.refresh_from_db()
    assert HealthCheck.objects.count() == 1
    assert (device.bad_checks, device.last_seen) == (1, NOW + timedelta(seconds=2))


def test_only_a_check_that_was_sent_again_counts_as_one():
    device = make_device()
    out_of_range = Report(status_code=7, reported_at=RECENTLY)
    moment = Moment(now=NOW, silent_at=SILENT_AT)
    with pytest.raises(IntegrityError), transaction.atomic():
        take_in(device, out_of_range, moment, service_was_away=False)
    assert take_in(device, Report(reported_at=RECENTLY), moment, service_was_away=False)
    assert take_in(device, Report(reported_at=RECENTLY), moment, service_was_away=False) is None


def test_stored_check_keeps_what_was_reported():
    device = make_device()
    caller = Caller(device.device_id, digest_of(make_credential(device)))
    report = Report(
        is_healthy=False,
        response_time_ms=42,
        status_code=503,
        endpoint="/health",
        response_data={"cpu": 0.5, "名": [1, None, '"x']},
        error_message="No paper",
        reported_at=RECENTLY,
    )

    check_in(caller, report, told=TOLD, now=NOW)

    assert HealthCheck.objects.values().get() == {
        "id": HealthCheck.objects.get().pk,
        "device_id": device.pk,
        "is_healthy": False,
        "response_time_ms": 42,
        "status_code": 503,
        "endpoint": "/health",
        "response_data": {"cpu": 0.5, "名": [1, None, '"x']},
        "error_message": "No paper",
        "checked_at": NOW,
        "reported_at": RECENTLY,
        "reported_by_id": None,
    }


def test_flapping_is_damped_by_the_number_of_bad_checks(settings):
    settings.BAD_CHECKS_FOR_ERROR = 3
    device = make_device(**ONLINE)
    caller = Caller(device.device_id, digest_of(make_credential(device)))
    statuses = []
    for minute, is_healthy in enumerate([False, False, True, False, False, False]):
        answer = check_in(caller, Report(is_healthy=is_healthy), told=TOLD, now=NOW + minute * TOLD)
        assert answer is not None
        statuses.append(answer.status)
    assert statuses == ["online"] * 5 + ["error"]


def test_first_use_of_a_new_key_ends_the_older_ones():
    device = make_device()
    old = Caller(device.device_id, digest_of(make_credential(device)))
    assert check_in(old, Report(), told=TOLD, now=NOW) is not None
    new = Caller(device.device_id, digest_of(make_credential(device)))
    assert check_in(old, Report(), told=TOLD, now=NOW) is not None

    assert check_in(new, Report(), told=TOLD, now=NOW) is not None

    assert check_in(old, Report(), told=TOLD, now=NOW) is None
    assert check_in(new, Report(), told=TOLD, now=NOW) is not None
    assert [key.last_used_at for key in device.credentials.order_by("id")] == [NOW, NOW]


@pytest.mark.parametrize(
    "pulse", [{"beat_at": AGO}, {"beat_at": NOW, "grace_until": NOW + timedelta(seconds=1)}]
)
def test_nobody_was_silent_while_the_service_itself_was_away(pulse):
    ServicePulse.objects.create(**pulse)
    device = make_device(**SILENT)
    caller = Caller(device.device_id, digest_of(make_credential(device)))

    assert Device.objects.with_status(NOW).get().current_status == DeviceStatus.ONLINE
    check_in(caller, Report(), told=TOLD, now=NOW)

    assert not StatusChange.objects.exists()
