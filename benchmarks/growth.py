"""How the cost of a request grows with the fleet: the same paths over fleets of several sizes.

Each size has a database and a web server of its own, and they are driven by turns.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg

from benchmarks import report, servers
from benchmarks.filling import filled
from benchmarks.fleet import Fleet
from benchmarks.loads import choose_driver
from benchmarks.measure import WARM_UP_SECONDS, Turns
from benchmarks.requests import write_requests
from benchmarks.run import chosen, say
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.servers import Server

NAMES = (
    "check-in",
    "fetch of commands",
    "page of 50 devices",
    "page of 50 devices, deep",
    "site health, 5 devices",
)
MOST_GROWTH = 1.25
DEVICES_OF_A_SITE = 20
CHECKS_OF_A_DEVICE = 10
MOST_CHECKS = 2_000_000
MOST_AUDIT_ROWS = 200_000
SECONDS = 4


@dataclass(frozen=True)
class Growth:
    """One path at one size; `ratio` is what a request costs there, over the smallest fleet's."""

    scenario: str
    devices: int
    rate: float
    p50_ms: float
    p99_ms: float
    ratio: float


def fleet_of(devices: int) -> Fleet:
    return Fleet(
        sites=max(2, devices // DEVICES_OF_A_SITE),
        devices=devices,
        checks=min(CHECKS_OF_A_DEVICE * devices, MOST_CHECKS),
        audit_rows=min(devices, MOST_AUDIT_ROWS),
    )


def run_growth(options: Namespace, server_url: str) -> int:
    driver = choose_driver(say)
    found: list[Growth] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="homepot-requests-")))
        places = []
        for devices in sorted(options.growth):
            url = _new_database(server_url, f"fleet_{devices}")
            fleet = filled(url, fleet_of(devices))
            say(f"Filled {devices:,} devices.")
            places.append((fleet, stack.enter_context(servers.product(url))))
        for scenario in chosen(options.only, SCENARIOS):
            if scenario.name not in NAMES:
                continue
            turns = [Turns() for _ in places]
            files = [_write(folder, scenario, *place) for place in places]
            for number in range(options.rounds + 1):
                for (_, server), file, turn in zip(places, files, turns, strict=True):
                    load = driver(
                        server.url,
                        file,
                        seconds=(options.seconds or SECONDS) if number else WARM_UP_SECONDS,
                        connections=options.connections,
                    )
                    # The first turn warms up.
                    if number:
                        turn.add(load)
            sizes = [fleet.devices for fleet, _ in places]
            found += growths(scenario.name, sizes, turns)
            say(_lines(found[-len(places) :]))
    print(_lines(found))
    if options.json:
        fleets = [asdict(fleet_of(devices)) for devices in sorted(options.growth)]
        told = report.as_json(
            options.connections, fleets=fleets, growth=[asdict(growth) for growth in found]
        )
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0


def growths(scenario: str, sizes: Sequence[int], turns: Sequence[Turns]) -> list[Growth]:
    """The smallest fleet first. Who serves half as many in the same time pays twice for each."""
    return [
        Growth(
            scenario,
            devices,
            turn.rate,
            turn.p50_ms,
            turn.p99_ms,
            turns[0].rate / turn.rate,
        )
        for devices, turn in zip(sizes, turns, strict=True)
    ]


def _new_database(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


def _write(folder: Path, scenario: Scenario, fleet: Fleet, server: Server) -> Path:
    file = folder / f"{fleet.devices}.requests"
    write_requests(file, server.url, scenario.requests(fleet))
    return file


def _lines(found: Sequence[Growth]) -> str:
    smallest = min(growth.devices for growth in found)
    lines = [("", "devices", "rate/s", "p50 ms", "p99 ms", "cost", "budget", "met")]
    for growth in found:
        is_first = growth.devices == smallest
        lines.append(
            (
                growth.scenario,
                f"{growth.devices:,}",
                f"{growth.rate:,.0f}",
                f"{growth.p50_ms:.1f}",
                f"{growth.p99_ms:.1f}",
                f"{growth.ratio:.2f}",
                "" if is_first else f"<={MOST_GROWTH:g}",
                "" if is_first else report.MET[growth.ratio <= MOST_GROWTH],
            )
        )
    return report.aligned(lines)
