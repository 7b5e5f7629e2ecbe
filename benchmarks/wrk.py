"""Requests by the thousand, with wrk."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

# What a scenario's script may use, and what every script says at the end.
PRELUDE = """
math.randomseed(os.time())
"""
REPORT = """
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status, summary.errors.connect, summary.errors.read + summary.errors.write,
    summary.errors.timeout))
end
"""


class WrkMissingError(Exception):
    """wrk is not on PATH."""


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


def find_wrk() -> str:
    path = shutil.which("wrk")
    if path is None:
        raise WrkMissingError("wrk is needed: on Debian and Ubuntu, `apt-get install wrk`.")
    return path


def drive(url: str, script: str, *, seconds: float, connections: int) -> Load:
    """Send what `script`, in Lua, makes of requests to `url`; raises RuntimeError."""
    with tempfile.TemporaryDirectory() as folder:
        lua = Path(folder) / "scenario.lua"
        lua.write_text(PRELUDE + script + REPORT)
        threads = str(min(2, connections))
        command = [
            *(
                find_wrk(),
                "-t",
                threads,
                "-c",
                str(connections),
                "-d",
                f"{max(1, round(seconds))}s",
            ),
            *("--timeout", "30s", "-s", str(lua), url),
        ]
        ran = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise RuntimeError(f"wrk said nothing: {ran.stdout} {ran.stderr}")
    numbers = [int(number) for number in lines[0].split()[1:]]
    requests, microseconds, p50, p99, refused, *lost = numbers
    return Load(requests, microseconds / 1e6, p50 / 1e3, p99 / 1e3, refused, sum(lost))
