"""One run of the benchmarks on an empty PostgreSQL of its own."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import once, report, servers
from benchmarks.filling import filled
from benchmarks.fleet import Fleet
from benchmarks.loads import choose_driver
from benchmarks.measure import Bench, Result
from benchmarks.peers import Peer
from benchmarks.scenarios import SCENARIOS, Scenario

FULL = {"sites": 1000, "devices": 20_000, "checks": 1_000_000, "audit": 200_000, "seconds": 6}
QUICK = {"sites": 200, "devices": 2000, "checks": 50_000, "audit": 10_000, "seconds": 2}


def run(
    options: Namespace, database_url: str, peers: list[Peer], before: dict[str, float] | None
) -> int:
    """`before` holds the ratios of an earlier run."""
    size: dict[str, Any] = dict(QUICK if options.quick else FULL)
    size |= {name: getattr(options, name) for name in size if getattr(options, name) is not None}
    driver = choose_driver(say)
    began = time.monotonic()
    wanted = Fleet(size["sites"], size["devices"], size["checks"], size["audit"])
    fleet = filled(database_url, wanted)
    say(f"Filled {fleet.devices:,} devices in {time.monotonic() - began:.0f} s.")
    figures = [] if options.only else [once.start(database_url)]
    results: dict[str, Result] = {}
    with (
        servers.product(database_url) as product,
        servers.bare() as bare,
        TemporaryDirectory(prefix="homepot-requests-") as folder,
    ):
        bench = Bench(
            product=product,
            bare=bare,
            database_seconds=servers.database_clock(database_url),
            fleet=fleet,
            driver=driver,
            folder=Path(folder),
            seconds=size["seconds"],
            rounds=options.rounds,
            connections=options.connections,
            peers=peers,
        )
        for scenario in chosen(options.only, SCENARIOS):
            results[scenario.name] = bench.measure(scenario, results)
            say(report.table([results[scenario.name]]).split("\n", 1)[1])
        if not options.only:
            figures.append(once.large_job(product, database_url, fleet.api_key))
            figures.append(once.memory(product))
    if not options.only and not options.quick:
        figures += once.admin(database_url)
    print(report.table(results.values(), before))
    if figures:
        print(f"\n{report.figures(figures)}")
    if options.json:
        found = report.as_json(
            options.connections,
            fleet=asdict(wanted),
            figures=[figure.as_json() for figure in figures],
            results=[result.as_json() for result in results.values()],
        )
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def chosen(beginnings: list[str], scenarios: Iterable[Scenario]) -> list[Scenario]:
    """Those whose names begin so, and those that they stand beside; all of them for nothing."""
    if not beginnings:
        return list(scenarios)
    names = {scenario.name for scenario in scenarios if scenario.name.startswith(tuple(beginnings))}
    names |= {scenario.beside for scenario in scenarios if scenario.name in names}
    return [scenario for scenario in scenarios if scenario.name in names]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
