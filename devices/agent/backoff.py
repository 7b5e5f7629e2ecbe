"""When to do a thing that may fail: later each time, and by chance, so that a fleet which lost
its server does not come back in one moment.
"""

from __future__ import annotations

import random

FIRST_SECONDS = 1.0
# 2 to this power is longer than anybody waits.
MOST_DOUBLINGS = 30


class Duty:
    """Something to be done at a time, and again later while it fails. Times are the clock's
    of whoever asks.
    """

    def __init__(self, chance: random.Random) -> None:
        self.due_at = 0.0
        self.failures = 0
        self._chance = chance

    def is_due(self, now: float) -> bool:
        return now >= self.due_at

    def fail(self, now: float, *, longest: float, retry_after: float | None) -> float:
        """Put it off by a random time below a limit that doubles with each failure in a row,
        up to `longest`, and after `retry_after`. Returns the seconds.
        """
        limit = min(longest, FIRST_SECONDS * 2 ** min(self.failures, MOST_DOUBLINGS))
        seconds = (retry_after or 0.0) + self._chance.uniform(0, limit)
        self.failures += 1
        self.due_at = now + seconds
        return seconds
