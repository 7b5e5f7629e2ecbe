"""What is not a rate: starting, memory, one large job, the admin's lists."""

from __future__ import annotations

import statistics
import time
import urllib.request
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from benchmarks import admin_lists, servers
from benchmarks.filling import ADMIN, DEPOT, add_depot
from benchmarks.servers import Server

STARTS = 3
START_SECONDS = 1.5
MEMORY_MB = 200
JOB_DEVICES = 40_000
JOB_SECONDS = 10
ADMIN_RATIO = 0.35
WAIT_SECONDS = 120


@dataclass(frozen=True)
class Figure:
    """One number and the most that it may be."""

    name: str
    value: float
    unit: str
    budget: float

    @property
    def is_met(self) -> bool:
        return self.value <= self.budget

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"is_met": self.is_met}


def start(database_url: str) -> Figure:
    """From the command to the first answer, with two workers; the median of some starts."""
    times = []
    for _ in range(STARTS):
        with servers.product(database_url) as server:
            times.append(server.start_seconds)
    return Figure("start to first answer", statistics.median(times), "s", START_SECONDS)


def memory(product: Server) -> Figure:
    """Of all processes of the web server, after all that was asked of it."""
    return Figure("memory of 2 workers", product.memory_bytes() / 2**20, "MB", MEMORY_MB)


def large_job(product: Server, database_url: str, api_key: str) -> Figure:
    add_depot(database_url, JOB_DEVICES)
    request = urllib.request.Request(
        f"{product.url}/api/v1/jobs/sites/{DEPOT}/jobs",
        data=b'{"action": "ping"}',
        headers={"X-API-Key": api_key, "Content-Type": "application/json"},
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as response:
        total = orjson.loads(response.read())["total"]
    seconds = time.perf_counter() - began
    if total != JOB_DEVICES:
        raise RuntimeError(f"The job has {total} devices.")
    return Figure(f"a job for {JOB_DEVICES:,} devices", seconds, "s", JOB_SECONDS)


def admin(database_url: str) -> list[Figure]:
    """How long the admin's lists take, as a share of Django's own admin."""
    found = admin_lists.times_of(database_url, ADMIN, turns=1)
    return [
        Figure(
            f"{path} / Django's own",
            statistics.median(ours) / statistics.median(stock),
            "x",
            ADMIN_RATIO,
        )
        for path, (ours, stock) in found.items()
    ]
