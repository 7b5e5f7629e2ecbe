"""The course of a run as an SVG: four charts over one axis of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.client import percentile
from benchmarks.load.phases import CHECK_INS, KINDS, Phase
from benchmarks.load.samples import Sample

WIDTH, HEIGHT, LEFT, TOP, GAP = 960, 150, 70, 40, 50
COLOURS = ("#1d6fb8", "#c2410c", "#15803d", "#7c3aed")
Series = Mapping[str, Sequence[tuple[float, float]]]


def svg(phases: Sequence[Phase], samples: Sequence[Sample]) -> str:
    end = max(phase.ended_at for phase in phases)
    charts: list[tuple[str, Series]] = [
        ("check-ins a second", _check_ins(phases)),
        ("99th percentile of each second, ms", _slowest(phases)),
        ("memory of the web server, MB", {"memory": [(s.at, s.memory_mb) for s in samples]}),
        (
            "connections to the database",
            {
                "open": [(s.at, s.connections) for s in samples],
                "busy": [(s.at, s.busy) for s in samples],
            },
        ),
    ]
    height = TOP + len(charts) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12" fill="#444">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for phase in phases:
        left, right = _x(phase.began_at, end), _x(phase.ended_at, end)
        name = escape(phase.name)
        parts.append(
            f'<rect x="{left:.1f}" y="{TOP - 22}" width="{right - left:.1f}" '
            f'height="{height - TOP}" fill="#f1f5f9" stroke="#fff"/>'
            f'<text x="{left + 4:.1f}" y="{TOP - 26}" font-weight="bold">{name}</text>'
        )
    for number, (title, series) in enumerate(charts):
        parts.append(_chart(title, series, TOP + number * (HEIGHT + GAP), end))
    return "\n".join([*parts, "</svg>\n"])


def _check_ins(phases: Sequence[Phase]) -> Series:
    accepted: dict[int, int] = {}
    again: dict[int, int] = {}
    for phase in phases:
        for second in range(int(phase.began_at), int(phase.ended_at) + 1):
            accepted.setdefault(second, 0)
            again.setdefault(second, 0)
        for answer in phase.answers[CHECK_INS]:
            second = int(answer.at + answer.seconds)
            counts = accepted if (answer.status or 500) < 400 else again
            counts[second] = counts.get(second, 0) + 1
    return {"taken in": sorted(accepted.items()), "told to come again": sorted(again.items())}


def _slowest(phases: Sequence[Phase]) -> Series:
    found = {}
    for kind in KINDS:
        seconds: dict[int, list[float]] = {}
        for phase in phases:
            for answer in phase.answers[kind]:
                seconds.setdefault(int(answer.at), []).append(answer.seconds)
        found[kind] = [
            (second, 1000 * percentile(sorted(times), 0.99))
            for second, times in sorted(seconds.items())
        ]
    return found


def _chart(title: str, series: Series, top: int, end: float) -> str:
    highest = max((y for points in series.values() for _, y in points), default=0) or 1
    bottom = top + HEIGHT
    parts = [f'<text x="{LEFT}" y="{top - 6}">{escape(title)}</text>']
    for share in (0, 0.5, 1):
        y = bottom - share * HEIGHT
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y}" y2="{y}" stroke="#cbd5e1"/>'
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{share * highest:,.0f}</text>'
        )
    for number, (name, points) in enumerate(series.items()):
        line = " ".join(f"{_x(x, end):.1f},{bottom - y / highest * HEIGHT:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{COLOURS[number]}" '
            'stroke-width="1.5"/>'
            f'<text x="{LEFT + 250 + 150 * number}" y="{top - 6}" '
            f'fill="{COLOURS[number]}">{escape(name)}</text>'
        )
    parts.append(f'<text x="{WIDTH - 10}" y="{bottom + 16}" text-anchor="end">{end:.0f} s</text>')
    return "\n".join(parts)


def _x(at: float, end: float) -> float:
    return LEFT + at / end * (WIDTH - LEFT - 10)
