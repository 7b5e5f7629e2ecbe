"""What came of driving a path, and who drives it: wrk, or where there is none, Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

WITHOUT_WRK = (
    "homepot: there is no wrk, so Python sends the requests. It keeps the processors busier than "
    "the bare view does: ratios to it look better than they are, CPU counts. On Debian and Ubuntu: "
    "apt-get install wrk"
)


@dataclass(frozen=True)
class Load:
    """What came of driving one path for a while. Times are in ms."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    # Answers of 400 and more, and requests without an answer.
    refused: int
    unanswered: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Driver(Protocol):
    def __call__(self, url: str, requests: Path, *, seconds: float, connections: int) -> Load: ...


def choose_driver(say: Callable[[str], None]) -> Driver:
    from benchmarks import client, wrk

    if wrk.find_wrk():
        return wrk.drive
    say(WITHOUT_WRK)
    return client.drive
