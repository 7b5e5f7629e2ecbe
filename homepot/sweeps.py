"""Sweeps: work that the service does by itself, shared by any number of workers.

A sweep is a plain function `sweep(now) -> int`, listed in `settings.SWEEPS` with its interval.
It does what is due in short transactions and returns how much it did. One that leaves work
behind is soon called again; one that runs twice at once does each thing once.

`manage.py run_worker` runs them. A row of `Sweep` for each lends it to one worker at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error
from django.db.models import F, Q
from django.utils import timezone
from django.utils.module_loading import import_string

from homepot.models import Sweep
from homepot.read_only import is_read_only

# How long one run may take, give or take a step.
RUN_SECONDS = 2
# Between two steps, and of the time that a step took. Writers to SQLite wait by asking again
# ten times a second: without it a sweep in full swing, on a slow disk, would leave them no turn.
PAUSE_SECONDS = 0.02
PAUSE_SHARE = 0.1
# A clock never ticks evenly; a run that comes this much early is still on time.
ON_TIME = 0.9
MISSED_RUNS = 3
ERROR_LENGTH = 2000

# Set when this process is to end: sweeps then finish their step and return.
stopping = threading.Event()


def run_steps(steps: Iterable[int]) -> int:
    """Take `steps` one by one until they or the time of this run are over.

    Each is how much was done in a transaction of its own; returns the sum.
    """
    started = time.monotonic()
    deadline = started + RUN_SECONDS
    done = 0
    for count in steps:
        done += count
        pause = max(PAUSE_SECONDS, PAUSE_SHARE * (time.monotonic() - started))
        if stopping.wait(pause) or time.monotonic() > deadline:
            break
        started = time.monotonic()
    return done


def read_mark(name: str) -> int:
    """Where the walk of the sweep `name` goes on: 0, its beginning, before its first run."""
    return Sweep.objects.filter(name=name).values_list("mark", flat=True).first() or 0


def move_mark(name: str, was: int, becomes: int) -> None:
    """Let the walk of the sweep `name` go on elsewhere, unless another run moved it meanwhile."""
    Sweep.objects.filter(name=name, mark=was).update(mark=becomes)


def run_sweep(name: str, holder: str, *, even_if_early: bool = False) -> bool:
    """Run the sweep `name` and note what came of it; False when it is not its turn.

    That is in read-only mode, when another holder is at it or, unless `even_if_early`, when it
    ran a moment ago.
    Raises what the sweep raises.
    """
    if is_read_only():
        return False
    sweep = import_string(name)
    started_at = timezone.now()
    if not _take_lease(name, holder, started_at, even_if_early=even_if_early):
        return False
    started = time.monotonic()
    try:
        count = sweep(started_at)
    except Exception as error:
        # When the database is gone, the lease runs out by itself.
        with suppress(Error):
            _give_back(name, holder, last_error=f"{type(error).__name__}: {error}"[:ERROR_LENGTH])
        raise
    _give_back(
        name,
        holder,
        last_error="",
        last_finished_at=timezone.now(),
        duration_ms=round(1000 * (time.monotonic() - started)),
        last_count=count,
    )
    return True


def _take_lease(name: str, holder: str, now: datetime, *, even_if_early: bool) -> bool:
    Sweep.objects.get_or_create(name=name)
    lease = timedelta(seconds=settings.SWEEP_LEASE_SECONDS)
    # Both with an upper end: a clock that once ran ahead must not stop a sweep for long. Clocks
    # that differ by less than a lease do not matter.
    is_taken = Q(lease_until__gt=now, lease_until__lte=now + 2 * lease)
    ran_lately = Q(
        last_started_at__gt=now - timedelta(seconds=ON_TIME * settings.SWEEPS.get(name, 0)),
        last_started_at__lte=now + lease,
    )
    in_the_way = is_taken if even_if_early else is_taken | ran_lately
    # One conditional UPDATE: of two workers one gets it, on either database.
    return bool(
        Sweep.objects.filter(~in_the_way, name=name).update(
            lease_until=now + lease, holder=holder, last_started_at=now
        )
    )


def _give_back(name: str, holder: str, **outcome: object) -> None:
    """Store the outcome, unless the lease ran out and went to another worker meanwhile."""
    Sweep.objects.filter(name=name, holder=holder).update(
        lease_until=None, holder="", runs=F("runs") + 1, **outcome
    )


@dataclass(frozen=True)
class SweepState:
    """How a sweep is doing. `age_seconds` counts from its last success; None: there was none."""

    name: str
    interval_seconds: float
    age_seconds: float | None
    is_overdue: bool
    duration_ms: int | None
    last_count: int | None
    last_error: str


def sweep_states(now: datetime) -> list[SweepState]:
    """How each sweep of `settings.SWEEPS` is doing, in one statement.

    One that never succeeded, as without a worker, is overdue.
    """
    rows = {row.name: row for row in Sweep.objects.filter(name__in=settings.SWEEPS)}
    states = []
    for name, interval_seconds in settings.SWEEPS.items():
        row = rows.get(name) or Sweep(name=name)
        finished_at = row.last_finished_at
        age_seconds = None if finished_at is None else (now - finished_at).total_seconds()
        # A worker may have been killed in the middle, and its lease has to run out first.
        patience = MISSED_RUNS * interval_seconds + settings.SWEEP_LEASE_SECONDS
        states.append(
            SweepState(
                name=name,
                interval_seconds=interval_seconds,
                age_seconds=age_seconds,
                is_overdue=age_seconds is None or age_seconds > patience,
                duration_ms=row.duration_ms,
                last_count=row.last_count,
                last_error=row.last_error,
            )
        )
    return states
