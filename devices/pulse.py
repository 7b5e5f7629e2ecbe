"""What devices need of every process of the service every few seconds: see `homepot/pulse.py`."""

from __future__ import annotations

import time

from django.utils import timezone

from devices.enums import LifecycleState
from devices.models import Device
from devices.pace import pace
from homepot import pulse

# A fleet grows slowly, and counting it reads all of it.
COUNT_EVERY_SECONDS = 60

_counted_at: float | None = None


def count_active_devices() -> None:
    """Let this process know the size of the fleet, which sets the pace of check-ins.

    A count is good for a minute.
    """
    global _counted_at
    if _counted_at is None or time.monotonic() - _counted_at >= COUNT_EVERY_SECONDS:
        pace.active_devices = Device.objects.filter(lifecycle_state=LifecycleState.ACTIVE).count()
        _counted_at = time.monotonic()


def beat() -> None:
    """Note that devices can be heard, with the patience that the fleet's pace asks for."""
    pulse.beat(timezone.now(), pace.interval, pace.patience(pace.interval))
