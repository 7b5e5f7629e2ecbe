"""How a device was over time: one status after the other, without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from devices.models import StatusChange


@dataclass(frozen=True)
class Stretch:
    status: str
    reason: str
    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def stretches(
    device: Any, since: datetime, now: datetime, *, at_most: int | None = None
) -> list[Stretch]:
    """From `since` to `now`, of a device `with_status(now)`; one statement.

    With `at_most` they may begin later: of a device that flaps, the newest changes count.
    """
    changes = StatusChange.objects.filter(device=device, at__gte=since).order_by("-at", "-id")
    newest = list(changes.values_list("at", "old_status", "new_status", "reason")[:at_most])
    newest.reverse()
    if at_most is not None and len(newest) == at_most:
        since = newest[0][0]
    return joined(newest, device, since, now)


def joined(
    changes: Sequence[tuple[datetime, str, str, str]], device: Any, since: datetime, now: datetime
) -> list[Stretch]:
    """What `changes` make of the time from `since` to `now`.

    They are in order: when, the old status, the new one and why. `device` has what
    `with_status(now)` gives it.
    """
    first = changes[0][1] if changes else device.status
    first_reason = "" if changes else device.status_reason
    steps = [(since, first, first_reason)]
    steps += [(at, new_status, reason) for at, _, new_status, reason in changes]
    if steps[-1][1] != device.current_status:  # due, but not stored yet
        start = max(device.current_since, steps[-1][0])
        steps.append((start, device.current_status, device.current_reason))
    ends = [at for at, _, _ in steps[1:]] + [now]
    return [
        Stretch(status, reason, start, end)
        for (start, status, reason), end in zip(steps, ends, strict=True)
        if end > start
    ]
