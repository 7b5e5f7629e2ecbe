"""How often devices are told to check in, and how long silence may last."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models.expressions import Combinable

from devices.status import PATIENCE, status_expressions
from homepot.compiled import derived

# At most this many check-ins a second are asked for, whatever the size of the fleet.
CHECK_INS_PER_SECOND = 300
JITTER = 0.1


class Pace:
    """The interval of this process, by the number of active devices it last heard of."""

    active_devices = 0

    @property
    def interval_seconds(self) -> float:
        return max(float(settings.CHECK_IN_SECONDS), self.active_devices / CHECK_INS_PER_SECOND)

    @property
    def interval(self) -> timedelta:
        """From one check-in to the next, before jitter."""
        return timedelta(seconds=self.interval_seconds)

    def told(self) -> timedelta:
        """The interval to tell one device: jittered, so that a fleet does not march in step."""
        jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        return timedelta(seconds=self.interval_seconds * jitter)

    def patience(self, told: timedelta) -> timedelta:
        """How long a device that was told `told` may stay silent."""
        return PATIENCE * told


pace = Pace()


def current_status(now: Any, device: str = "") -> dict[str, Combinable]:
    """`status_expressions` with the settings and the pace of this process.

    `now` is a time, or the placeholder of one.
    """
    return status_expressions(
        now=now,
        away_before=derived(now, lambda now: now - pace.interval),
        heard_after=derived(now, lambda now: now - pace.patience(pace.interval)),
        bad_checks_for_error=derived(now, lambda now: settings.BAD_CHECKS_FOR_ERROR),
        device=device,
    )
