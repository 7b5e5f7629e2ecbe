"""Charts, drawn here as SVG: nothing is loaded, and each is there as a table too.

A chart stretches to the width there is, so it holds lines only; its words stand beside it in
HTML. Lines differ by their dashes as well as by their colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 1000, 100
# Below each other at most so many words for times fit on a phone.
LABELS_AT_MOST = 7


@dataclass(frozen=True)
class Span:
    """A time up to now, in equal steps; `step` divides a day, or is one.

    Below a chart stand the times that are multiples of `words_every`; None: as many as fit.
    """

    name: str
    title: str
    length: timedelta
    step: timedelta
    words_every: timedelta | None = None

    def times(self, now: datetime) -> list[datetime]:
        """When each step begins, the last one being under way."""
        count = self.length // self.step
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
        last = midnight + (now - midnight) // self.step * self.step
        return [last - self.step * (count - 1 - number) for number in range(count)]


DAY = Span("day", "Day", timedelta(days=1), timedelta(hours=1))
WEEK = Span("week", "Week", timedelta(days=7), timedelta(hours=4))
MONTH = Span("month", "Month", timedelta(days=30), timedelta(days=1))


def chosen_span(spans: Sequence[Span], name: str | None) -> Span:
    """The one that `name`, which anybody may have written, names; else the first."""
    return next((span for span in spans if span.name == name), spans[0])


def span_links(spans: Sequence[Span], chosen: Span, query: Any) -> list[dict[str, Any]]:
    """Links to the same page, whose parameters are `query`, for each of `spans`."""
    links = []
    for span in spans:
        parameters = query.copy()
        parameters["span"] = span.name
        url = f"?{parameters.urlencode()}#health"
        links.append({"title": span.title, "url": url, "is_current": span == chosen})
    return links


@dataclass(frozen=True)
class Line:
    """Values over time, None where there is none. `style` is a class of the stylesheet."""

    name: str
    style: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Tick:
    text: str
    # In percent, from below or from the left.
    at: str


@dataclass(frozen=True)
class Drawn:
    """What the template `homepot/admin/chart.html` needs of a chart."""

    title: str
    summary: str
    shapes: list[dict[str, str]]
    columns: list[dict[str, str]]
    ticks: list[Tick]
    labels: list[Tick]
    legend: list[dict[str, str]]
    headings: list[str]
    rows: list[list[str]]
    is_empty: bool


def lines(
    title: str,
    span: Span,
    times: Sequence[datetime],
    series: Sequence[Line],
    *,
    write: Callable[[float], str],
    top: float | None = None,
    summary: str = "",
) -> Drawn:
    """Lines over `times`, to `top` or the largest value; `write` says how values are written."""
    top = top or round_up(
        max((value for line in series for value in line.values if value), default=1)
    )
    shapes = [
        {"kind": "line", "style": line.style, "path": _path(line.values, top)} for line in series
    ]
    return _drawn(title, span, times, series, shapes, top, write, summary)


def bars(
    title: str,
    span: Span,
    times: Sequence[datetime],
    series: Sequence[Line],
    *,
    write: Callable[[float], str],
    summary: str = "",
) -> Drawn:
    """Bars over `times`, the parts of each on top of each other."""
    heights = [sum(line.values[i] or 0 for line in series) for i in range(len(times))]
    top = round_up(max(heights, default=1) or 1)
    width = WIDTH / max(len(times), 1)
    shapes = []
    below = [0.0] * len(times)
    for line in series:
        parts = []
        for i, value in enumerate(line.values):
            if not value:
                continue
            low, below[i] = below[i], below[i] + value
            x, right = _number(i * width + 0.1 * width), _number((i + 0.9) * width)
            y, bottom = _height(below[i], top), _height(low, top)
            parts.append(f"M{x} {bottom}V{y}H{right}V{bottom}Z")
        shapes.append({"kind": "bar", "style": line.style, "path": "".join(parts)})
    return _drawn(title, span, times, series, shapes, top, write, summary)


def strip(parts: Sequence[tuple[str, int]], said: str) -> SafeString:
    """Shares of a whole beside each other: the style and the number of each; `said` in words."""
    total = sum(number for _, number in parts) or 1
    shapes = []
    position = 0.0
    for style, number in parts:
        width = 100 * number / total
        shapes.append((style, round(position, 3), round(width, 3)))
        position += width
    drawn = format_html_join(
        "", '<rect class="homepot-part-{}" x="{}" width="{}" y="0" height="8"/>', shapes
    )
    return format_html(
        '<svg class="homepot-strip" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>',
        said,
        drawn,
    )


def tenths_of_a_percent(parts: Sequence[int]) -> list[float]:
    """What share of their sum each of `parts` is, rounded so that together they are 100.

    Each is rounded down, and what is missing goes to those that lost most by that.
    """
    total = sum(parts)
    if not total:
        return [0.0 for _ in parts]
    shares = [1000 * part // total for part in parts]
    by_loss = sorted(range(len(parts)), key=lambda i: 1000 * parts[i] % total, reverse=True)
    for i in by_loss[: 1000 - sum(shares)]:
        shares[i] += 1
    return [share / 10 for share in shares]


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, ...: where an axis ends."""
    magnitude = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * magnitude for step in (1, 2, 5, 10) if step * magnitude >= value)


def _drawn(
    title: str,
    span: Span,
    times: Sequence[datetime],
    series: Sequence[Line],
    shapes: list[dict[str, str]],
    top: float,
    write: Callable[[float], str],
    summary: str,
) -> Drawn:
    def written(value: float | None) -> str:
        return "-" if value is None else write(value)

    rows = [
        [moment_name(moment, span), *(written(line.values[i]) for line in series)]
        for i, moment in enumerate(times)
    ]
    width = WIDTH / max(len(times), 1)
    columns = []
    for i, (moment, *values) in enumerate(rows):
        said = ", ".join(f"{line.name} {value}" for line, value in zip(series, values, strict=True))
        columns.append(
            {"x": _number(i * width), "width": _number(width), "said": f"{moment}: {said}"}
        )
    return Drawn(
        title=title,
        summary=summary,
        shapes=shapes,
        columns=columns,
        ticks=[Tick(write(part * top), _number(100 * part)) for part in (0, 0.5, 1)],
        labels=list(_labels(times, span)),
        legend=[{"name": line.name, "style": line.style} for line in series],
        headings=["Time (UTC)", *(line.name for line in series)],
        rows=rows[::-1],
        is_empty=not any(value for line in series for value in line.values),
    )


def moment_name(moment: datetime, span: Span) -> str:
    return f"{moment:%Y-%m-%d}" if span.step >= timedelta(days=1) else f"{moment:%Y-%m-%d %H:%M}"


def _labels(times: Sequence[datetime], span: Span) -> Iterator[Tick]:
    form = "%H:%M" if span.length <= timedelta(days=1) else "%d %b"
    every = math.ceil(len(times) / LABELS_AT_MOST)
    if span is WEEK:
        every = timedelta(days=1) // span.step
    for i, moment in enumerate(times):
        is_due = moment.hour == 0 if span is WEEK else i % every == 0
        if span.words_every:
            every = span.words_every // span.step
            midnight = moment.replace(hour=0, minute=0)
            is_due = not (moment - midnight) % span.words_every
        if is_due and i <= len(times) - every / 2:
            yield Tick(f"{moment:{form}}", _number(100 * i / len(times)))


def _path(values: Sequence[float | None], top: float) -> str:
    """A line through `values`, interrupted where there is none."""
    width = WIDTH / max(len(values), 1)
    parts = []
    is_on = False
    for i, value in enumerate(values):
        if value is None:
            is_on = False
            continue
        x, y = (i + 0.5) * width, _height(value, top)
        if is_on:
            parts.append(f"L{_number(x)} {y}")
        else:
            # A dash, so that a value without neighbours shows.
            parts.append(f"M{_number(x - 0.2 * width)} {y}L{_number(x)} {y}")
        is_on = True
    return "".join(parts)


def _height(value: float, top: float) -> str:
    return _number(HEIGHT * (1 - min(value, top) / top))


def _number(value: float) -> str:
    return f"{value:.1f}"
