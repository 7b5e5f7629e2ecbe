"""Turns of threads: so many may work at once, and it is not the first to come who goes next."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """So many may work at once; others wait, those that are deferrable last."""

    def __init__(self, working: int, most_waiting: int) -> None:
        self._lock = threading.Lock()
        self._free = working
        self._most_waiting = most_waiting
        # A locked lock for each that waits; whoever ends unlocks that of the next.
        self._first: deque[threading.Lock] = deque()
        self._deferrable: deque[threading.Lock] = deque()

    def take(self, *, is_deferrable: bool) -> bool:
        """Wait for a turn. False: too many deferrable ones wait already."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            if is_deferrable and len(self._deferrable) >= self._most_waiting:
                return False
            turn = threading.Lock()
            turn.acquire()
            (self._deferrable if is_deferrable else self._first).append(turn)
        turn.acquire()
        return True

    def give_back(self) -> None:
        with self._lock:
            if waiting := self._first or self._deferrable:
                waiting.popleft().release()
            else:
                self._free += 1
