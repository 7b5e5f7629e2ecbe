from __future__ import annotations

import random

import pytest

from devices.agent.backoff import Duty


def waits(failures: int, **options: float | None) -> list[float]:
    """How long many devices wait after that many failures in a row."""
    found = []
    for number in range(500):
        duty = Duty(random.Random(number))
        for _ in range(failures):
            wait = duty.fail(100.0, **{"longest": 120.0, "retry_after": None} | options)
        assert duty.due_at == 100.0 + wait
        assert not duty.is_due(100.0 + wait - 0.001)
        assert duty.is_due(100.0 + wait)
        found.append(wait)
    return found


@pytest.mark.parametrize(
    ("failures", "limit"), [(1, 1), (2, 2), (3, 4), (7, 64), (8, 120), (50, 120)]
)
def test_wait_is_anything_below_a_limit_that_doubles(failures, limit):
    # "Full jitter": whoever failed together comes back one by one.
    found = waits(failures)
    assert 0 <= min(found) < 0.05 * limit
    assert 0.95 * limit < max(found) <= limit
    assert 0.4 * limit < sum(found) / len(found) < 0.6 * limit


def test_wait_is_no_longer_after_years():
    duty = Duty(random.Random(1))
    duty.failures = 10_000_000
    assert duty.fail(0.0, longest=120.0, retry_after=None) <= 120


def test_wait_begins_where_the_server_said():
    found = waits(3, retry_after=30.0)
    assert 30 <= min(found) < 30.2
    assert 33.8 < max(found) <= 34
