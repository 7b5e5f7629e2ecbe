from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.test import RequestFactory

from accounts import throttles
from accounts.models import ThrottleCounter
from homepot.rates import Rate

HOURLY = Rate(limit=3, seconds=3600)
NOON = 1_800_000_000.0  # the beginning of an hour


@pytest.fixture
def clock(monkeypatch):
    """A list whose only item is the time."""
    now = [NOON]
    monkeypatch.setattr(throttles.time, "time", lambda: now[0])
    return now


@pytest.mark.django_db
def test_uses_are_counted_by_scope_and_key_until_the_window_ends(clock):
    assert [throttles.take("door", "ann", HOURLY) for _ in range(4)] == [0, 0, 0, 3600]
    assert throttles.take("door", "bob", HOURLY) == 0
    assert throttles.take("gate", "ann", HOURLY) == 0
    clock[0] = NOON + 3599.5
    assert throttles.take("door", "ann", HOURLY) == 1
    clock[0] = NOON + 3600
    assert [throttles.take("door", "ann", HOURLY) for _ in range(4)] == [0, 0, 0, 3600]


@pytest.mark.django_db
def test_a_use_takes_one_statement(count_statements, clock):
    throttles.take("door", "ann", HOURLY)
    for _ in range(3):
        with count_statements(1):
            throttles.take("door", "ann", HOURLY)


@pytest.mark.django_db
def test_refused_uses_write_nothing(clock):
    for _ in range(10):
        throttles.take("door", "ann", HOURLY)
    assert ThrottleCounter.objects.get().uses == 3


@pytest.mark.django_db
def test_no_rate_is_no_limit_and_counts_nothing(settings):
    settings.THROTTLE_RATES = {"door": None}
    assert [throttles.take("door", "ann") for _ in range(100)] == [0] * 100
    assert not ThrottleCounter.objects.exists()


@pytest.mark.django_db
def test_old_windows_go_when_new_ones_begin(clock):
    for number in range(30):
        throttles.take("door", f"caller {number}", HOURLY)
    clock[0] += 3600
    throttles.take("door", "ann", HOURLY)
    assert ThrottleCounter.objects.count() == 31 - throttles.PRUNED_PER_WINDOW
    throttles.take("door", "bob", HOURLY)
    assert ThrottleCounter.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_parallel_uses_are_all_counted(clock):
    answers = []

    def use() -> None:
        try:
            answers.append(throttles.take("door", "ann", Rate(limit=25, seconds=3600)))
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [0] * 25 + [3600] * 15


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "None"),
    ],
)
def test_callers_without_an_account_are_counted_by_address(address, key):
    assert throttles.address_key(RequestFactory().get("/", REMOTE_ADDR=address)) == key
