"""Sweeps for tests of what runs sweeps."""

from __future__ import annotations

import os
import time
from datetime import datetime
from itertools import repeat

from homepot.sweeps import run_steps

calls: list[datetime] = []


def quick(now: datetime) -> int:
    calls.append(now)
    return 7


def failing(now: datetime) -> int:
    raise ZeroDivisionError("division by zero")


def endless(now: datetime) -> int:
    return run_steps(repeat(1))


def slow(now: datetime) -> int:
    """Takes the time that the environment says."""
    time.sleep(float(os.environ.get("WORK_SECONDS", "0")))
    return 1
