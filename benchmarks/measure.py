"""Driving a scenario and the bare view by turns, so that a busy machine slows both."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import psutil

from benchmarks import wrk
from benchmarks.fleet import Fleet
from benchmarks.scenarios import Scenario
from benchmarks.servers import Server, cpu_seconds

BARE_SCRIPT = ""


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
class _Sum:
    requests: int = 0
    seconds: float = 0
    server_seconds: float = 0
    database_seconds: float = 0
    p50_ms: float = 0
    p99_ms: float = 0
    refused: int = 0
    unanswered: int = 0

    def add(self, load: wrk.Load, server_seconds: float, database_seconds: float) -> None:
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
    """What measures: two servers, the database of the first, and how hard."""

    product: Server
    bare: Server
    database: psutil.Process
    fleet: Fleet
    seconds: float
    rounds: int
    connections: int

    def measure(self, scenario: Scenario, earlier: dict[str, Result]) -> Result:
        """`earlier` holds the results so far, by scenario, for those that stand beside another."""
        script = scenario.script(self.fleet)
        ours, bare = _Sum(), _Sum()
        for _ in range(self.rounds):
            self._drive(self.bare, BARE_SCRIPT, bare, self.seconds / 2)
            self._drive(self.product, script, ours, self.seconds)
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
        )

    def warm_up(self, scenario: Scenario) -> None:
        script = scenario.script(self.fleet)
        wrk.drive(self.product.url, script, seconds=1, connections=self.connections)

    def _drive(self, server: Server, script: str, total: _Sum, seconds: float) -> None:
        server_before, database_before = server.cpu_seconds(), cpu_seconds(self.database)
        load = wrk.drive(server.url, script, seconds=seconds, connections=self.connections)
        total.add(
            load,
            server.cpu_seconds() - server_before,
            cpu_seconds(self.database) - database_before,
        )
