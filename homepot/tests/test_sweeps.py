"""Who runs a sweep, when, and what is noted of it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import repeat

import pytest
from django.utils import timezone

from homepot import sweeps
from homepot.models import Sweep
from homepot.sweeps import run_steps, run_sweep, sweep_states
from homepot.testing.threads import run_together
from homepot.tests import work

QUICK = "homepot.tests.work.quick"
FAILING = "homepot.tests.work.failing"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def schedule(settings):
    settings.SWEEPS = {QUICK: 60, FAILING: 60}
    work.calls.clear()


@pytest.mark.django_db
def test_run_notes_what_came_of_it():
    before = timezone.now()
    assert run_sweep(QUICK, "me")
    row = Sweep.objects.values().get()
    assert before <= row["last_started_at"] <= row["last_finished_at"] <= timezone.now()
    assert work.calls == [row["last_started_at"]]
    assert {
        name: row[name] for name in ("name", "holder", "lease_until", "last_error", "last_count")
    } == {"name": QUICK, "holder": "", "lease_until": None, "last_error": "", "last_count": 7}
    assert row["runs"] == 1
    assert 0 <= row["duration_ms"] < 60_000


@pytest.mark.django_db
def test_failed_run_is_noted_and_gives_its_lease_back():
    with pytest.raises(ZeroDivisionError):
        run_sweep(FAILING, "me")
    row = Sweep.objects.get()
    assert (row.last_error, row.lease_until, row.holder, row.last_finished_at, row.runs) == (
        "ZeroDivisionError: division by zero",
        None,
        "",
        None,
        1,
    )


TURNS = [
    ("never ran", {}, True, True),
    ("ran a moment ago", {"last_started_at": -10 * SECOND}, False, True),
    ("its time has come", {"last_started_at": -59 * SECOND}, True, True),
    ("another is at it", {"lease_until": 5 * SECOND}, False, False),
    ("another was killed", {"lease_until": -SECOND, "last_started_at": -60 * SECOND}, True, True),
    ("a clock once ran ahead", {"lease_until": 3600 * SECOND}, True, True),
    ("a clock once ran ahead", {"last_started_at": 3600 * SECOND}, True, True),
]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "runs", "runs_even_if_early"),
    [turn[1:] for turn in TURNS],
    ids=[turn[0] for turn in TURNS],
)
@pytest.mark.parametrize("even_if_early", [False, True])
def test_whose_turn_it_is(row, runs, runs_even_if_early, even_if_early):
    now = timezone.now()
    Sweep.objects.create(
        name=QUICK, holder="another", **{column: now + shift for column, shift in row.items()}
    )
    expected = runs_even_if_early if even_if_early else runs
    assert run_sweep(QUICK, "me", even_if_early=even_if_early) is expected
    assert len(work.calls) == expected


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_runs_it():
    assert sorted(run_together(*(partial(run_sweep, QUICK, str(n)) for n in range(8)))) == [
        *[False] * 7,
        True,
    ]
    assert len(work.calls) == 1


@pytest.mark.django_db
def test_outcome_of_a_run_that_lost_its_lease_is_not_stored(monkeypatch):
    def lose_lease(now: datetime) -> int:
        Sweep.objects.update(holder="another", lease_until=now + SECOND)
        return 1

    monkeypatch.setattr(work, "quick", lose_lease)
    run_sweep(QUICK, "me")
    row = Sweep.objects.get()
    assert (row.holder, row.runs, row.last_finished_at) == ("another", 0, None)


def test_steps_end_when_nothing_is_left():
    assert run_steps(iter([3, 0, 4])) == 7


def test_steps_end_when_their_time_is_over(monkeypatch):
    monkeypatch.setattr(sweeps, "RUN_SECONDS", 0.05)
    assert run_steps(repeat(1)) < 10


def test_steps_end_when_the_process_is_to_end(monkeypatch):
    monkeypatch.setattr(sweeps, "stopping", stopping := threading.Event())
    stopping.set()
    assert run_steps(repeat(1)) == 1


@pytest.mark.django_db
def test_states(count_statements):
    Sweep.objects.create(
        name=QUICK, last_finished_at=NOW - 90 * SECOND, duration_ms=12, last_count=3
    )
    Sweep.objects.create(name="homepot.tests.work.gone")
    with count_statements(1):
        quick, failing = sweep_states(NOW)
    assert (quick.name, quick.interval_seconds, quick.age_seconds) == (QUICK, 60, 90)
    assert (quick.is_overdue, quick.duration_ms, quick.last_count) == (False, 12, 3)
    assert (failing.name, failing.age_seconds, failing.is_overdue) == (FAILING, None, True)

    quick, _ = sweep_states(NOW + 200 * SECOND)
    assert quick.is_overdue
