"""Requests by the thousand, from Python alone: for machines without wrk.

    python -m benchmarks.client URL FILE --seconds 5 --connections 8

Each process has one thread and many connections; each connection sends its next request when
the answer to the last one is there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.loads import Load
from benchmarks.requests import MARK, read_requests

PROCESSES = 2
# How long the last answers may take.
PATIENCE_SECONDS = 30


class Connection(asyncio.Protocol):
    """Sends one request after the other, each when `answered` asks for it.

    `answered` hears the status and the seconds that it took, None when there was no answer.
    """

    def __init__(self, answered: Callable[[Connection, int | None, float], None]) -> None:
        self._answered = answered
        self._sent_at = 0.0
        self._buffer = b""
        self.is_waiting = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, spelled: bytes, since: float | None = None) -> None:
        """`since`: when it was due, if that is what its time is counted from."""
        assert self.transport
        self.is_waiting = True
        self._sent_at = time.perf_counter() if since is None else since
        self.transport.write(spelled)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator or not _is_whole(head.lower(), body):
            return
        self._buffer = b""
        self._end(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.is_waiting:
            self._end(None)

    def _end(self, status: int | None) -> None:
        self.is_waiting = False
        self._answered(self, status, time.perf_counter() - self._sent_at)


def _is_whole(head: bytes, body: bytes) -> bool:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if found:
        return len(body) >= int(rest.partition(b"\r\n")[0])
    if b"\r\ntransfer-encoding:" in head:
        return body.endswith(b"0\r\n\r\n")
    return True


def with_number(spelled: bytes) -> bytes:
    return (
        spelled.replace(MARK, b"%016d" % random.randrange(10**16)) if MARK in spelled else spelled
    )


class Crowd:
    """As many connections as are wanted, each busy until the time is over."""

    def __init__(self, url: str, requests: list[bytes], seconds: float, connections: int) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._requests = requests
        self._seconds = seconds
        self._count = connections
        self._until = 0.0
        self._open = 0
        self._is_over = asyncio.Event()
        self.times: list[float] = []
        self.refused = self.unanswered = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._until = time.perf_counter() + self._seconds
        for _ in range(self._count):
            _, connection = await loop.create_connection(
                lambda: Connection(self._answered), *self._address
            )
            self._open += 1
            self._send(connection)
        async with asyncio.timeout(self._seconds + PATIENCE_SECONDS):
            await self._is_over.wait()

    def _send(self, connection: Connection) -> None:
        connection.send(with_number(random.choice(self._requests)))

    def _answered(self, connection: Connection, status: int | None, seconds: float) -> None:
        if status is None:
            self.unanswered += 1
        else:
            self.times.append(seconds)
            self.refused += status >= 400
            if time.perf_counter() < self._until and connection.transport:
                self._send(connection)
                return
        if connection.transport:
            connection.transport.close()
        self._open -= 1
        if not self._open:
            self._is_over.set()


def drive(url: str, requests: Path, *, seconds: float, connections: int) -> Load:
    """Send requests of that file to `url`, in any order; raises RuntimeError."""
    shares = [
        (connections + number) // PROCESSES
        for number in range(PROCESSES)
        if (connections + number) // PROCESSES
    ]
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.client", url, str(requests)),
                *("--seconds", str(seconds), "--connections", str(share)),
            ],
            stdout=subprocess.PIPE,
        )
        for share in shares
    ]
    told = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError("The processes that send requests failed; they say why above.")
    found = [json.loads(each) for each in told]
    times = sorted(second for each in found for second in each["times"])
    return Load(
        requests=len(times),
        seconds=max(each["seconds"] for each in found),
        p50_ms=1000 * percentile(times, 0.5),
        p99_ms=1000 * percentile(times, 0.99),
        refused=sum(each["refused"] for each in found),
        unanswered=sum(each["unanswered"] for each in found),
    )


def percentile(ordered: list[float], share: float) -> float:
    """0 for nothing."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.client", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("requests", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    options = parser.parse_args()

    async def run() -> Crowd:
        requests = read_requests(options.requests)
        crowd = Crowd(options.url, requests, options.seconds, options.connections)
        await crowd.run()
        return crowd

    began = time.perf_counter()
    crowd = asyncio.run(run())
    told = {
        "times": crowd.times,
        "seconds": time.perf_counter() - began,
        "refused": crowd.refused,
        "unanswered": crowd.unanswered,
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
