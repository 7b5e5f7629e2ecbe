"""The results as a table for people, and as JSON to compare later ones with."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
import psutil

from benchmarks.measure import PeerResult, Result
from benchmarks.once import Figure

HEADINGS = (
    *("", "rate/s", "p50 ms", "p99 ms", "CPU us", "DB us", "ratio", "to", "CPU x"),
    *("budget", "met"),
)


MET = {None: "", True: "yes", False: "NO"}


class EarlierRunError(Exception):
    """The file of an earlier run cannot be used; the message says why."""


def table(results: Iterable[Result], before: Mapping[str, float] | None = None) -> str:
    """A line for each, and for each peer; `before` holds the ratios of an earlier run."""
    lines: list[tuple[str, ...]] = [HEADINGS if before is None else (*HEADINGS, "before")]
    for result in results:
        cells: tuple[str, ...] = (
            result.scenario,
            f"{result.rate:,.0f}",
            f"{result.p50_ms:.1f}",
            f"{result.p99_ms:.1f}",
            f"{result.server_us:,.0f}",
            f"{result.database_us:,.0f}",
            _ratio(result.ratio),
            result.beside,
            f"{result.cpu_ratio:.1f}",
            _budget(result),
            MET[result.is_met],
        )
        if before is not None:
            earlier = before.get(result.scenario)
            cells = (*cells, "new" if earlier is None else _ratio(earlier))
        lines.append(cells)
        lines += _losses(result, len(lines[0]))
        for peer in result.peers:
            times = (f"{peer.rate:,.0f}", f"{peer.p50_ms:.1f}", f"{peer.p99_ms:.1f}")
            cells = (f"  {peer.name}", *times, "", "", _ratio(peer.ratio), "ours/its")
            lines.append(cells + ("",) * (len(lines[0]) - len(cells)))
            lines += _losses(peer, len(lines[0]))
    return aligned(lines)


def _losses(result: Result | PeerResult, columns: int) -> list[tuple[str, ...]]:
    if not result.refused and not result.unanswered:
        return []
    text = f"  {result.refused} refused, {result.unanswered} unanswered"
    return [(text, *[""] * (columns - 1))]


def figures(found: Iterable[Figure]) -> str:
    lines = [("", "", "", "budget", "met")]
    for figure in found:
        value = f"{figure.value:,.2f}" if figure.value < 100 else f"{figure.value:,.0f}"
        budget = f"<={figure.budget:g}"
        lines.append((figure.name, value, figure.unit, budget, MET[figure.is_met]))
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns, the first to the left and the others to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _ratio(ratio: float) -> str:
    return f"{ratio:.3f}" if ratio < 10 else f"{ratio:.1f}"


def _budget(result: Result) -> str:
    parts = []
    if result.rate_budget is not None:
        parts.append(f">={result.rate_budget:g}")
    if result.cpu_budget is not None:
        parts.append(f"CPU<={result.cpu_budget:g}")
    return " ".join(parts)


def as_json(connections: int, **found: Any) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": psutil.cpu_count(),
            "python": platform.python_version(),
            "django": django.get_version(),
        },
        "connections": connections,
        **found,
    }


def ratios_of(path: Path) -> dict[str, float]:
    """The ratios of an earlier run; raises EarlierRunError."""
    try:
        stored = json.loads(path.read_text())
        return {result["scenario"]: float(result["ratio"]) for result in stored["results"]}
    except OSError as error:
        raise EarlierRunError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise EarlierRunError(f"{path} holds no results: --json writes such a file.") from None
