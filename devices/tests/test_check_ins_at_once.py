"""Check-ins that come at the same moment: one transaction on PostgreSQL, each as good as alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from accounts.keys import digest_of
from devices.check_in import check_in, postgresql
from devices.check_in.caller import Caller
from devices.models import Device, HealthCheck
from devices.reports import Report
from devices.tests.factories import make_credential, make_device
from homepot.testing.plans import explained
from homepot.testing.processes import WAIT_SECONDS, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TOLD = timedelta(seconds=60)


@pytest.fixture(autouse=True)
def _postgresql():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one lock for all writers: they take turns.")


def caller_of(device):
    return Caller(device.device_id, digest_of(make_credential(device)))


@pytest.fixture
def check_in_together():
    """Check in by threads of which none is left when the test is over.

    No wait of theirs is limited: a busy machine may stand still for as long as one may be.
    """
    with ThreadPoolExecutor(8) as threads:
        yield lambda *callers, **options: _check_in_together(threads, callers, **options)


def _check_in_together(threads, callers, reports=None, meanwhile=lambda outcomes: None):
    """What becomes of each check-in; they gather while a first one waits to store its check."""

    def call(caller, report):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = 0")
            return check_in(caller, report, told=TOLD, now=NOW)
        finally:
            connection.close()

    first = caller_of(make_device())
    with unlimited_transaction():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE health_checks IN SHARE ROW EXCLUSIVE MODE")
        threads.submit(call, first, Report())
        wait_until(lambda: postgresql._group._is_led and not postgresql._group._gathered)
        outcomes = []
        for caller, report in zip(callers, reports or [Report()] * len(callers), strict=True):
            outcomes.append(threads.submit(call, caller, report))
            wait_until(lambda: len(postgresql._group._gathered) == len(outcomes))
        meanwhile(outcomes)
    return outcomes


@contextmanager
def unlimited_transaction():
    """One that the server does not end while we wait for others."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def transactions_of_checks():
    """By device, the numbers of the transactions that stored its checks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT device_id, xmin::text FROM health_checks ORDER BY id")
        stored = {}
        for device_pk, number in cursor.fetchall():
            stored.setdefault(device_pk, []).append(number)
    return stored


def test_those_that_come_meanwhile_are_one_transaction(check_in_together):
    devices = [make_device() for _ in range(4)]
    outcomes = check_in_together(*map(caller_of, devices))
    assert [outcome.result(WAIT_SECONDS).device_pk for outcome in outcomes] == [
        each.pk for each in devices
    ]
    assert {outcome.result(WAIT_SECONDS).status for outcome in outcomes} == {"online"}
    stored = transactions_of_checks()
    assert all(len(numbers) == 1 for numbers in stored.values())
    assert len({stored[device.pk][0] for device in devices}) == 1
    assert len(stored) == 5
    assert Device.objects.filter(last_seen=NOW, status="online").count() == 5


def test_each_hears_of_its_own_alone(check_in_together):
    good, retired = make_device(), make_device(lifecycle_state="retired")
    wrong_key = Caller(make_device().device_id, digest_of("hpd_wrong"))
    twice = make_device()
    callers = [
        caller_of(retired),
        caller_of(twice),
        wrong_key,
        caller_of(twice),
        Caller("till-none", digest_of("hpd_wrong")),
        caller_of(good),
    ]

    outcomes = [outcome.result(WAIT_SECONDS) for outcome in check_in_together(*callers)]

    assert [None if each is None else (each.device_pk, each.status) for each in outcomes] == [
        (retired.pk, None),
        (twice.pk, "online"),
        None,
        (twice.pk, "online"),
        None,
        (good.pk, "online"),
    ]
    checks = {device.pk: device.health_checks.count() for device in (retired, twice, good)}
    assert checks == {retired.pk: 0, twice.pk: 2, good.pk: 1}


def test_a_wrong_key_locks_no_device(check_in_together):
    device = make_device()
    wrong_key = Caller(device.device_id, digest_of("hpd_wrong"))
    [outcome] = check_in_together(wrong_key)
    assert outcome.result(WAIT_SECONDS) is None
    # The transaction that locked it last: who has no key shall not even cost a write.
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmax::text FROM devices WHERE id = %s", [device.pk])
        assert cursor.fetchone() == ("0",)


def test_a_locked_device_keeps_nobody_else_waiting(check_in_together):
    locked = make_device()
    callers = [caller_of(locked), caller_of(make_device())]
    is_free = threading.Event()

    def hold():
        with unlimited_transaction():
            Device.objects.select_for_update().get(pk=locked.pk)
            is_locked.set()
            assert is_free.wait(WAIT_SECONDS)
        connection.close()

    is_locked = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    assert is_locked.wait(WAIT_SECONDS)
    try:
        waiting, done = check_in_together(*callers)
        assert done.result(WAIT_SECONDS).status == "online"
        assert not waiting.done()
    finally:
        is_free.set()
        holder.join()
    assert waiting.result(WAIT_SECONDS).status == "online"


def test_devices_are_found_by_index_and_locked_before_the_call():
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # which planners prefer for few rows
        with explained() as plans:
            postgresql._call_at_once([])
    [(_, plan)] = plans.plans
    assert -1 < plan.find("LockRows") < plan.find("Function Scan on check_in_1"), plan
    assert "Seq Scan" not in plan


def test_what_one_of_them_breaks_is_its_own_failure(check_in_together):
    good, bad = make_device(), make_device()
    outcomes = check_in_together(
        caller_of(good), caller_of(bad), reports=[Report(), Report(status_code=7)]
    )
    assert outcomes[0].result(WAIT_SECONDS).status == "online"
    with pytest.raises(IntegrityError):
        outcomes[1].result(WAIT_SECONDS)
    assert (good.health_checks.count(), bad.health_checks.count()) == (1, 0)


def test_nobody_is_told_of_what_a_lost_connection_took_along(check_in_together):
    devices = [make_device() for _ in range(3)]

    def end_connections(outcomes):
        def end_those_that_wait():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks l JOIN pg_database d "
                    "ON d.oid = l.database AND d.datname = current_database() "
                    "WHERE NOT granted AND relation = 'health_checks'::regclass"
                )
            return all(outcome.done() for outcome in outcomes)

        wait_until(end_those_that_wait)

    outcomes = check_in_together(*map(caller_of, devices), meanwhile=end_connections)

    assert [type(outcome.exception()) for outcome in outcomes] == [OperationalError] * 3
    assert not HealthCheck.objects.exists()
    assert check_in(caller_of(devices[0]), Report(), told=TOLD, now=NOW).status == "online"
