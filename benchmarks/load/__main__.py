"""`make load`: a usual day, a morning on which all devices come at once, and three times too much.

    make load [OPTIONS="--seconds 20"]
    make load OPTIONS="--memory 10"      (a usual day for ten minutes: does memory grow?)

One machine plays both sides, so that what the devices cost is missing to the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import report, servers
from benchmarks.client import percentile
from benchmarks.filling import filled
from benchmarks.fleet import Fleet
from benchmarks.load.chart import svg
from benchmarks.load.phases import CHECK_INS, KINDS, Phase, Traffic, failed, refused
from benchmarks.load.samples import Sample, Sampler
from benchmarks.load.setting_up import make_outcomes
from homepot.testing.postgres import postgresql_server

SECRET_KEY = "a-key-for-benchmarks-that-is-long-enough-and-kept-nowhere"
CHECK_IN_SECONDS = 60
OVERLOAD = 3
MOST_GROWTH = 1.05


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--devices", type=int, default=20_000, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=60, help="of each part (default: %(default)s)"
    )
    parser.add_argument("--memory", type=float, metavar="MINUTES", help="the usual day alone")
    parser.add_argument(
        "--output", type=Path, default=Path("data/load"), help="folder (default: %(default)s)"
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "homepot.settings",
        "SECRET_KEY": SECRET_KEY,
        "LOGGING__LEVEL": "CRITICAL",
    }
    with postgresql_server(settings=servers.POSTGRESQL_SETTINGS) as url:
        sites = max(2, options.devices // 20)
        fleet = filled(url, Fleet(sites, options.devices, 5 * options.devices, options.devices))
        with servers.product(url) as server:
            outcomes = make_outcomes(server.url, fleet)
            traffic = Traffic(server.url, urlsplit(server.url).netloc, fleet, outcomes)
            sampler = Sampler(server, url, traffic.now)
            sampler.start()
            phases = asyncio.run(run(traffic, options))
            samples = sampler.stop()
    promises = judge(phases, samples, options.memory)
    print(table(phases))
    for phase in phases:
        print(*(f"{phase.name}: {note}" for note in phase.notes), sep="\n")
    for text, is_kept in promises:
        print(f"{'yes' if is_kept else 'NO '}  {text}")
    write(options.output, phases, samples, promises)
    return int(not all(is_kept for _, is_kept in promises))


async def run(traffic: Traffic, options: argparse.Namespace) -> list[Phase]:
    usual = options.devices / CHECK_IN_SECONDS
    if options.memory:
        return [await traffic.steady(usual, 60 * options.memory)]
    steady = await traffic.steady(usual, options.seconds)
    herd = await traffic.herd()
    # As many as were taken in while all came at once, at best.
    capacity = best_second(herd)
    overload = await traffic.steady(OVERLOAD * capacity, options.seconds, "overload")
    overload.notes.append(
        f"{OVERLOAD * capacity:,.0f} check-ins a second were due, {OVERLOAD} times the "
        f"{capacity:,.0f} that were taken in at best."
    )
    return [steady, herd, overload]


def best_second(phase: Phase) -> int:
    """The most check-ins that were taken in within a second."""
    counts: dict[int, int] = {}
    for answer in phase.answers[CHECK_INS]:
        if answer.status is not None and answer.status < 400:
            second = int(answer.at + answer.seconds)
            counts[second] = counts.get(second, 0) + 1
    return max(counts.values(), default=1)


def judge(
    phases: Sequence[Phase], samples: Sequence[Sample], minutes: float | None
) -> list[tuple[str, bool]]:
    """What overload must not do, and whether it did not."""
    promises = [
        (
            f"{phase.name}: no outcome and no page was refused",
            not any(refused(phase.answers[kind]) for kind in KINDS if kind != CHECK_INS),
        )
        for phase in phases
    ]
    promises += [
        (
            f"{phase.name}: nothing failed, nothing stayed without an answer",
            not any(failed(phase.answers[kind]) + phase.unanswered[kind] for kind in KINDS),
        )
        for phase in phases
    ]
    promises.append(("steady: no check-in was refused", not refused(phases[0].answers[CHECK_INS])))
    if minutes:
        tenth = max(1, len(samples) // 10)
        # What is loaded by the first requests is no growth.
        first, last = samples[tenth : 2 * tenth], samples[-tenth:]
        growth = _memory(last) / _memory(first)
        promises.append(
            (
                f"memory at the end is {growth:.3f} of that after a tenth of the time "
                f"({_memory(first):.0f} MB), at most {MOST_GROWTH}",
                growth <= MOST_GROWTH,
            )
        )
    return promises


def _memory(samples: Sequence[Sample]) -> float:
    return statistics.median(sample.memory_mb for sample in samples)


def table(phases: Sequence[Phase]) -> str:
    lines: list[tuple[str, ...]] = []
    lines.append(("", "", "answered/s", "come again", "failed", "p50 ms", "p95 ms", "p99 ms"))
    for phase in phases:
        for kind in KINDS:
            answers = phase.answers[kind]
            good = sorted(
                answer.seconds for answer in answers if answer.status and answer.status < 400
            )
            lines.append(
                (
                    phase.name,
                    kind,
                    f"{len(good) / (phase.ended_at - phase.began_at):,.1f}",
                    f"{refused(answers):,}",
                    f"{failed(answers) + phase.unanswered[kind]:,}",
                    *(f"{1000 * percentile(good, share):,.1f}" for share in (0.5, 0.95, 0.99)),
                )
            )
    return report.aligned(lines)


def write(
    folder: Path,
    phases: Sequence[Phase],
    samples: Sequence[Sample],
    promises: Sequence[tuple[str, bool]],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "load.svg").write_text(svg(phases, samples))
    told = {
        "promises": [{"text": text, "is_kept": is_kept} for text, is_kept in promises],
        "phases": [
            {
                "name": phase.name,
                "began_at": phase.began_at,
                "ended_at": phase.ended_at,
                "notes": phase.notes,
                "kinds": {
                    kind: {
                        "answered": len(phase.answers[kind]),
                        "told_to_come_again": refused(phase.answers[kind]),
                        "failed": failed(phase.answers[kind]),
                        "unanswered": phase.unanswered[kind],
                    }
                    for kind in KINDS
                },
            }
            for phase in phases
        ],
        "table": table(phases).splitlines(),
        "samples": [asdict(sample) for sample in samples],
    }
    (folder / "load.json").write_text(json.dumps(told, indent=1) + "\n")
    print(f"\nIn {folder}: load.svg, load.json")


if __name__ == "__main__":
    sys.exit(main())
