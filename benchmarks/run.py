"""One run of the benchmarks, once Django is set up on an empty database."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from typing import Any

from django.db import connection

from benchmarks import report, servers
from benchmarks.fleet import Fleet, fill
from benchmarks.measure import Bench, Result
from benchmarks.scenarios import SCENARIOS, Scenario

FULL = {"sites": 1000, "devices": 20_000, "checks": 1_000_000, "audit": 200_000, "seconds": 6}
QUICK = {"sites": 200, "devices": 2000, "checks": 50_000, "audit": 10_000, "seconds": 2}
# Budgets of the web server as a whole.
START_SECONDS = 1.5
MEMORY_MB = 200


def run(options: Namespace, database_url: str, folder: str) -> int:
    size: dict[str, Any] = dict(QUICK if options.quick else FULL)
    size |= {name: getattr(options, name) for name in size if getattr(options, name) is not None}
    before = report.ratios_of(options.compare) if options.compare else None
    began = time.monotonic()
    fleet = fill(Fleet(size["sites"], size["devices"], size["checks"], size["audit"]))
    say(f"Filled {fleet.devices:,} devices in {time.monotonic() - began:.0f} s.")
    with servers.product(database_url) as product, servers.bare() as bare:
        bench = Bench(
            product=product,
            bare=bare,
            database=servers.postgresql_process(folder),
            fleet=fleet,
            seconds=size["seconds"],
            rounds=options.rounds,
            connections=options.connections,
        )
        results: dict[str, Result] = {}
        for scenario in chosen(options):
            bench.warm_up(scenario)
            results[scenario.name] = bench.measure(scenario, results)
            say(report.table([results[scenario.name]]).splitlines()[1])
        memory_mb = product.memory_bytes() / 2**20
    connection.close()
    further = {"start_seconds": product.start_seconds, "memory_mb": memory_mb}
    print(report.table(results.values(), before))
    print(
        f"\nFirst answer after {product.start_seconds:.1f} s (budget {START_SECONDS}), "
        f"memory {memory_mb:.0f} MB (budget {MEMORY_MB})."
    )
    if options.json:
        told = report.as_json(results.values(), fleet, options.connections, further)
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0


def chosen(options: Namespace) -> list[Scenario]:
    """Those that were asked for, and those that they stand beside."""
    if not options.only:
        return [scenario for scenario in SCENARIOS if scenario.is_quick or not options.quick]
    names = {
        scenario.name for scenario in SCENARIOS if scenario.name.startswith(tuple(options.only))
    }
    names |= {scenario.beside for scenario in SCENARIOS if scenario.name in names}
    return [scenario for scenario in SCENARIOS if scenario.name in names]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
