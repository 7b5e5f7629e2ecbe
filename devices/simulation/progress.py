"""One line that tells how far a run is."""

from __future__ import annotations

import time
from typing import Any

# Where no person watches, a line each so many seconds.
QUIET_SECONDS = 10.0


class Progress:
    """On a terminal the line changes in place; elsewhere a new one comes now and then."""

    def __init__(self, output: Any) -> None:
        self._output = output
        self._is_watched = output.isatty()
        self._told_at = 0.0
        self._width = 0

    def show(self, text: str) -> None:
        now = time.monotonic()
        if self._is_watched:
            self._output.write("\r" + text.ljust(self._width), ending="")
            self._output.flush()
            self._width = len(text)
        elif now - self._told_at >= QUIET_SECONDS:
            self._output.write(text)
            self._told_at = now

    def clear(self) -> None:
        """Make room for what comes next."""
        if self._width:
            self._output.write("\r" + " " * self._width + "\r", ending="")
            self._width = 0
