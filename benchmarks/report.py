"""The results as a table for people, and as JSON to compare later ones with."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
import psutil

from benchmarks.fleet import Fleet
from benchmarks.measure import Result

HEADINGS = (
    *("", "rate/s", "p50 ms", "p99 ms", "CPU us", "DB us", "ratio", "to", "CPU x"),
    *("budget", "met"),
)


def table(results: Iterable[Result], before: Mapping[str, float] | None = None) -> str:
    """One line for each; `before` holds the ratios of an earlier run."""
    lines: list[tuple[str, ...]] = [HEADINGS if before is None else (*HEADINGS, "before")]
    for result in results:
        cells: tuple[str, ...] = (
            result.scenario,
            f"{result.rate:,.0f}",
            f"{result.p50_ms:.1f}",
            f"{result.p99_ms:.1f}",
            f"{result.server_us:,.0f}",
            f"{result.database_us:,.0f}",
            f"{result.ratio:.3f}" if result.ratio < 10 else f"{result.ratio:.1f}",
            result.beside,
            f"{result.cpu_ratio:.1f}",
            _budget(result),
            {None: "", True: "yes", False: "NO"}[result.is_met],
        )
        if before is not None:
            earlier = before.get(result.scenario)
            cells = (*cells, f"{earlier:.3f}" if earlier is not None else "new")
        lines.append(cells)
        if result.refused or result.unanswered:
            text = f"  {result.refused} refused, {result.unanswered} unanswered"
            lines.append((text, *[""] * (len(lines[0]) - 1)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _budget(result: Result) -> str:
    parts = []
    if result.rate_budget is not None:
        parts.append(f">={result.rate_budget:g}")
    if result.cpu_budget is not None:
        parts.append(f"CPU<={result.cpu_budget:g}")
    return " ".join(parts)


def as_json(
    results: Iterable[Result], fleet: Fleet, connections: int, further: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": psutil.cpu_count(),
            "python": platform.python_version(),
            "django": django.get_version(),
        },
        "fleet": {
            "sites": fleet.sites,
            "devices": fleet.devices,
            "health_checks": fleet.checks,
            "audit_rows": fleet.audit_rows,
        },
        "connections": connections,
        **further,
        "results": [result.as_json() for result in results],
    }


def ratios_of(path: Path) -> dict[str, float]:
    """The ratios of an earlier run; raises OSError, ValueError and KeyError."""
    stored = json.loads(path.read_text())
    return {result["scenario"]: result["ratio"] for result in stored["results"]}
