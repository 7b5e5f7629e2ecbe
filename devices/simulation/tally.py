"""What happened in a simulation, counted, and as a table."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from devices.agent.errors import RefusedError, RequestError
from devices.agent.loop import Observer
from devices.agent.transport import Transport

CHECK_IN, ACKNOWLEDGE, REPORT, OTHER = "check-in", "acknowledge", "report", "other"
PERCENTILES = (50, 95, 99)


class Tally(Observer):
    """Counts for all devices and threads of a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.events: Counter[str] = Counter()
        # By kind; none of them was simulated.
        self.errors: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)

    def happened(self, event: str, about: str = "") -> None:
        with self._lock:
            self.events[event] += 1

    def failed(self, error: Exception, again_in: float) -> None:
        # Requests are counted below, one by one.
        if not isinstance(error, RequestError):
            self.add_error(type(error).__name__, str(error))

    def add_error(self, kind: str, example: str) -> None:
        with self._lock:
            self.errors[kind] += 1
            self.examples.setdefault(kind, example)

    def add_request(self, call: str, seconds: float) -> None:
        with self._lock:
            self._seconds[call].append(seconds)

    @property
    def error_count(self) -> int:
        return sum(self.errors.values())

    def table(self) -> str:
        """Counts, errors by kind with an example, and how long requests took."""
        counts = [
            ("Check-ins", "checked in"),
            ("Commands received", "offered"),
            ("  acknowledged", "acknowledged"),
            ("  completed", "completed"),
            ("  failed", "failed"),
            ("  cancelled", "cancelled"),
            ("  no longer wanted", "not wanted any more"),
            ("  outcome not taken", "outcome not taken"),
        ]
        lines = [f"  {label:<24}{self.events[event]:>8}" for label, event in counts]
        lines.append(f"  {'Errors':<24}{self.error_count:>8}")
        for kind, count in self.errors.most_common():
            lines.append(f"    {kind:<22}{count:>8}  {self.examples[kind]}")
        headings = [f"p{percent}" for percent in PERCENTILES]
        lines += ["", _row("Milliseconds", "calls", *headings, "most")]
        for call in (CHECK_IN, ACKNOWLEDGE, REPORT, OTHER):
            if took := sorted(self._seconds.get(call, [])):
                figures = [percentile(took, percent) for percent in PERCENTILES]
                lines.append(
                    _row(call, len(took), *(f"{1000 * each:.1f}" for each in [*figures, took[-1]]))
                )
        return "\n".join(lines)


def _row(name: str, *cells: Any) -> str:
    return f"  {name:<16}" + "".join(f"{cell:>10}" for cell in cells)


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The value that `percent` of `ordered`, which is not empty, do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


class TimedTransport(Transport):
    """Tells a tally how long each request took, and what went wrong."""

    def __init__(self, url: str, tally: Tally, **options: Any) -> None:
        super().__init__(url, **options)
        self._tally = tally

    def send(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        started_at = time.perf_counter()
        try:
            answer = super().send(method, path, body, headers)
        except RequestError as error:
            # Of two that end the same command the server refuses the later: no fault of anybody.
            if not (isinstance(error, RefusedError) and error.status == 409):
                self._tally.add_error(error.kind, f"{method} {path}: {error}")
            raise
        self._tally.add_request(_call(path), time.perf_counter() - started_at)
        return answer


def _call(path: str) -> str:
    if path == "/agent/check-in":
        return CHECK_IN
    if path.endswith("/ack"):
        return ACKNOWLEDGE
    return REPORT if path.endswith("/status") else OTHER
