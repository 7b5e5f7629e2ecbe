"""Driving a scenario, the bare view and peers by turns: a busy machine slows all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fleet import Fleet
from benchmarks.loads import Driver, Load
from benchmarks.peers import Peer
from benchmarks.requests import Request, write_requests
from benchmarks.scenarios import Scenario
from benchmarks.servers import Server

BARE = [Request("GET", "/")]
WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class PeerResult:
    """`ratio` is our rate over the peer's."""

    name: str
    rate: float
    p50_ms: float
    p99_ms: float
    refused: int
    unanswered: int
    ratio: float


@dataclass(frozen=True)
class Result:
    """Rates are requests a second; CPU is in microseconds of one core for each request."""

    scenario: str
    rate: float
    p50_ms: float
    p99_ms: float
    server_us: float
    database_us: float
    bare_rate: float
    bare_us: float
    refused: int
    unanswered: int
    ratio: float
    cpu_ratio: float
    rate_budget: float | None
    cpu_budget: float | None
    beside: str
    peers: Sequence[PeerResult] = ()

    @property
    def is_met(self) -> bool | None:
        """None: it has no budget."""
        if self.rate_budget is None and self.cpu_budget is None:
            return None
        rate_met = self.rate_budget is None or self.ratio >= self.rate_budget
        cpu_met = self.cpu_budget is None or self.cpu_ratio <= self.cpu_budget
        return rate_met and cpu_met

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"is_met": self.is_met}


@dataclass
class Turns:
    """What came of all turns of one server with one scenario."""

    requests: int = 0
    seconds: float = 0
    server_seconds: float = 0
    database_seconds: float = 0
    # Of the slowest turn.
    p50_ms: float = 0
    p99_ms: float = 0
    refused: int = 0
    unanswered: int = 0

    def add(self, load: Load, server_seconds: float = 0, database_seconds: float = 0) -> None:
        self.requests += load.requests
        self.seconds += load.seconds
        self.server_seconds += server_seconds
        self.database_seconds += database_seconds
        self.p50_ms = max(self.p50_ms, load.p50_ms)
        self.p99_ms = max(self.p99_ms, load.p99_ms)
        self.refused += load.refused
        self.unanswered += load.unanswered

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def each_us(self, seconds: float) -> float:
        return 1e6 * seconds / max(self.requests, 1)


@dataclass(frozen=True)
class Bench:
    """What measures: two servers, the database of the first, and how hard.

    `folder` is for files with requests; `database_seconds` tells the CPU that PostgreSQL has used.
    """

    product: Server
    bare: Server
    database_seconds: Callable[[], float]
    fleet: Fleet
    driver: Driver
    folder: Path
    seconds: float
    rounds: int
    connections: int
    peers: Sequence[Peer] = field(default=())

    def measure(self, scenario: Scenario, earlier: dict[str, Result]) -> Result:
        """`earlier` holds the results so far, by scenario, for those that stand beside another."""
        ours, bare = Turns(), Turns()
        peers = [peer for peer in self.peers if scenario.name in peer.requests]
        theirs = [Turns() for _ in peers]
        file = self._write(self.product.url, scenario.requests(self.fleet))
        bare_file = self._write(self.bare.url, BARE)
        peer_files = [self._write(peer.url, peer.requests[scenario.name]) for peer in peers]
        self._send(self.product.url, file, WARM_UP_SECONDS)
        for _ in range(self.rounds):
            self._turn(self.bare, bare_file, bare, self.seconds / 2)
            self._turn(self.product, file, ours, self.seconds)
            for peer, peer_file, turns in zip(peers, peer_files, theirs, strict=True):
                turns.add(self._send(peer.url, peer_file, self.seconds))
        standard = earlier[scenario.beside].rate if scenario.beside else bare.rate
        server_us = ours.each_us(ours.server_seconds)
        bare_us = bare.each_us(bare.server_seconds)
        return Result(
            scenario=scenario.name,
            rate=ours.rate,
            p50_ms=ours.p50_ms,
            p99_ms=ours.p99_ms,
            server_us=server_us,
            database_us=ours.each_us(ours.database_seconds),
            bare_rate=bare.rate,
            bare_us=bare_us,
            refused=ours.refused,
            unanswered=ours.unanswered,
            ratio=ours.rate * scenario.units / standard,
            cpu_ratio=server_us / bare_us,
            rate_budget=scenario.rate,
            cpu_budget=scenario.cpu,
            beside=scenario.beside or "bare",
            peers=[
                PeerResult(
                    peer.name,
                    turns.rate,
                    turns.p50_ms,
                    turns.p99_ms,
                    turns.refused,
                    turns.unanswered,
                    ours.rate / turns.rate,
                )
                for peer, turns in zip(peers, theirs, strict=True)
            ],
        )

    def _write(self, url: str, requests: list[Request]) -> Path:
        file = self.folder / f"{url.rpartition(':')[2]}.requests"
        write_requests(file, url, requests)
        return file

    def _send(self, url: str, file: Path, seconds: float) -> Load:
        return self.driver(url, file, seconds=seconds, connections=self.connections)

    def _turn(self, server: Server, file: Path, turns: Turns, seconds: float) -> None:
        server_before, database_before = server.cpu_seconds(), self.database_seconds()
        load = self._send(server.url, file, seconds)
        turns.add(
            load,
            server.cpu_seconds() - server_before,
            self.database_seconds() - database_before,
        )
