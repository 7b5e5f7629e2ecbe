"""Memory and connections to the database, second by second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from benchmarks.servers import Server

SAMPLE_SECONDS = 1.0
CONNECTIONS = """
SELECT count(*), count(*) FILTER (WHERE state <> 'idle')
FROM pg_stat_activity WHERE application_name = 'homepot'
"""


@dataclass(frozen=True)
class Sample:
    """`busy` connections are in the middle of something."""

    at: float
    memory_mb: float
    connections: int
    busy: int


class Sampler(threading.Thread):
    """Takes samples until it is stopped; `now` tells the seconds since the run began."""

    def __init__(self, server: Server, database_url: str, now: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._database_url = database_url
        self._now = now
        self._stopping = threading.Event()
        self.samples: list[Sample] = []

    def run(self) -> None:
        with psycopg.connect(self._database_url, autocommit=True) as database:
            while not self._stopping.wait(SAMPLE_SECONDS):
                connections, busy = database.execute(CONNECTIONS).fetchone() or (0, 0)
                memory_mb = self._server.memory_bytes() / 2**20
                self.samples.append(Sample(self._now(), memory_mb, connections, busy))

    def stop(self) -> list[Sample]:
        self._stopping.set()
        self.join()
        return self.samples
