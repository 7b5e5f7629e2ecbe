"""How far a long step has come, for whoever waits for it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TextIO

BAR_WIDTH = 24
# On a terminal one line is written over and over; a log gets a new one now and then.
TERMINAL_SECONDS = 0.2
LOG_SECONDS = 10.0


class ProgressBar:
    """How many rows, or other `units`, are done of `total`; ends with a line that stays."""

    def __init__(self, name: str, total: int, output: TextIO, units: str = "rows") -> None:
        self.name = name
        self.total = total
        self.units = units
        self.done = 0
        self._output = output
        self._is_terminal = output.isatty()
        self._began = self._shown = time.monotonic()
        self.seconds = 0.0

    def add(self, units: int, where: object, *, is_shown: bool = True) -> None:
        """Note that so many more are done, those of `where` at the moment.

        What another bar goes on beside is not shown.
        """
        self.done += units
        now = time.monotonic()
        self.seconds = now - self._began
        if is_shown and now - self._shown >= (
            TERMINAL_SECONDS if self._is_terminal else LOG_SECONDS
        ):
            self._shown = now
            self._write(self._state(str(where)))

    def finish(self, *, seconds: float | None = None) -> None:
        """Say how long it took, `seconds` where it ended before now."""
        self.seconds = time.monotonic() - self._began if seconds is None else seconds
        self._write(
            f"{self.name}: {self.done:,} {self.units} in {self.seconds:.1f} s "
            f"({self._rate():,.0f} {self.units}/s)"
        )
        if self._is_terminal:
            self._output.write("\n")

    def _rate(self) -> float:
        return self.done / max(self.seconds, 0.001)

    def _state(self, where: str) -> str:
        share = min(1.0, self.done / self.total) if self.total else 1.0
        left = timedelta(seconds=round((self.total - self.done) / max(self._rate(), 1)))
        bar = "#" * round(share * BAR_WIDTH)
        return (
            f"{self.name}: [{bar:.<{BAR_WIDTH}}] {share:4.0%}  {self.done:,} of {self.total:,} "
            f"{self.units}  {self._rate():,.0f} {self.units}/s  {left} left  {where}"
        )

    def _write(self, line: str) -> None:
        # \x1b[K removes what is left of a longer line before.
        self._output.write(f"\r{line}\x1b[K" if self._is_terminal else f"{line}\n")
        self._output.flush()
