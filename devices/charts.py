"""What charts of devices and sites show: sums of checks over equal steps of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.db.models.functions import TruncHour

from devices.models import Device, HealthRollup, SiteMinute
from devices.models.rollup import RESPONSE_BUCKETS_MS
from homepot.admin.charts import (
    DAY,
    MONTH,
    WEEK,
    Drawn,
    Line,
    Span,
    bars,
    lines,
    tenths_of_a_percent,
)
from sites.models import Site

DEVICE_SPANS = (DAY, WEEK, MONTH)
# Minutes are kept as long as single checks.
SITE_SPANS = (DAY, WEEK)
LOADS = (("CPU", "cpu", "first"), ("Memory", "memory", "second"), ("Disk", "disk", "third"))
SUMMED = (
    "checks",
    "unhealthy",
    "response_count",
    "response_ms_sum",
    *(f"{name}_{part}" for _, name, _ in LOADS for part in ("count", "sum")),
)
BUCKETS = (*(f"up_to_{limit}_ms" for limit in RESPONSE_BUCKETS_MS), "over_5000_ms")
# What is beyond the last limit is said to be as long as this.
LONGEST_MS = 2 * RESPONSE_BUCKETS_MS[-1]


def device_charts(device: Device, span: Span, now: datetime) -> list[Drawn]:
    """Response time, load and checks of one device; one statement."""
    times = span.times(now)
    sums: list[Counter[str]] = [Counter() for _ in times]
    longest: list[int | None] = [None] * len(times)
    rollups = HealthRollup.objects.filter(device=device, hour__gte=times[0], hour__lte=now)
    for hour, response_ms_max, *values in rollups.values_list("hour", "response_ms_max", *SUMMED):
        step = (hour - times[0]) // span.step
        sums[step].update(dict(zip(SUMMED, values, strict=True)))
        if sums[step]["response_count"]:
            longest[step] = max(longest[step] or 0, response_ms_max)
    total = sum(sums, Counter())
    mean = average(total, "response_ms_sum", "response_count")
    return [
        lines(
            "Response time",
            span,
            times,
            [
                Line("Average", "first", averages(sums, "response_ms_sum", "response_count")),
                Line("Longest", "second", longest),
            ],
            write=milliseconds,
            summary="" if mean is None else f"{milliseconds(mean)} on average",
        ),
        lines(
            "CPU, memory and disk",
            span,
            times,
            [
                Line(title, style, averages(sums, f"{name}_sum", f"{name}_count"))
                for title, name, style in LOADS
            ],
            write=percent,
            top=100,
            summary=", ".join(
                f"{title} {percent(mean)}"
                for title, name, _ in LOADS
                if (mean := average(total, f"{name}_sum", f"{name}_count")) is not None
            ),
        ),
        check_bars(span, times, sums),
    ]


def site_charts(site: Site, span: Span, now: datetime) -> list[Drawn]:
    """Checks and response times of all devices of a site; one statement."""
    times = span.times(now)
    sums: list[Counter[str]] = [Counter() for _ in times]
    for hour, values in site_hours(site, times[0], now):
        sums[(hour - times[0]) // span.step].update(values)
    return [check_bars(span, times, sums), response_lines(span, times, sums)]


def response_lines(span: Span, times: Sequence[datetime], sums: Sequence[Counter[str]]) -> Drawn:
    """Within what time half of the responses were, and nearly all, by their histograms."""
    total = sum(sums, Counter())
    summary = ""
    if (median := percentile(total, 0.5)) is not None:
        summary = f"half up to {milliseconds(median)}, 95 % up to "
        summary += milliseconds(percentile(total, 0.95) or 0)
    return lines(
        "Response time",
        span,
        times,
        [
            Line("Half up to", "first", [percentile(step, 0.5) for step in sums]),
            Line("95 % up to", "second", [percentile(step, 0.95) for step in sums]),
        ],
        write=milliseconds,
        summary=summary,
    )


def site_hours(
    site: Site, since: datetime, now: datetime
) -> Iterable[tuple[datetime, dict[str, int]]]:
    names = ("checks", "unhealthy", *BUCKETS)
    minutes = SiteMinute.objects.filter(site=site, minute__gte=since, minute__lte=now)
    hours = minutes.order_by().annotate(hour=TruncHour("minute")).values_list("hour")
    for hour, *values in hours.annotate(**{f"all_{name}": Sum(name) for name in names}):
        yield hour, dict(zip(names, values, strict=True))


def check_bars(
    span: Span,
    times: Sequence[datetime],
    sums: Sequence[Counter[str]],
    title: str = "Health checks",
) -> Drawn:
    checks, unhealthy = (sum(step[name] for step in sums) for name in ("checks", "unhealthy"))
    return bars(
        title,
        span,
        times,
        [
            Line("Healthy", "good", [step["checks"] - step["unhealthy"] for step in sums]),
            Line("Unhealthy", "bad", [step["unhealthy"] for step in sums]),
        ],
        write=whole,
        summary=f"{checks:,}, {unhealthy:,} of them unhealthy" if checks else "",
    )


def percentile(counts: Counter[str], share: float) -> float | None:
    """The time within which that share of the counted responses was; by the buckets' limits."""
    total = sum(counts[name] for name in BUCKETS)
    reached = 0
    for name, limit in zip(BUCKETS, (*RESPONSE_BUCKETS_MS, LONGEST_MS), strict=True):
        reached += counts[name]
        if total and reached >= share * total:
            return limit
    return None


def average(sums: Counter[str], total: str, count: str) -> float | None:
    return sums[total] / sums[count] if sums[count] else None


def averages(steps: Sequence[Counter[str]], total: str, count: str) -> list[float | None]:
    return [average(step, total, count) for step in steps]


def milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"


def percent(value: float) -> str:
    return f"{value:.0f} %"


def whole(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def status_band(parts: Iterable[Any], since: datetime, now: datetime) -> dict[str, Any]:
    """The stretches of `devices/timeline.py` as shares of the time from `since` to `now`."""
    whole_time = (now - since) / timedelta(seconds=1)
    lengths: Counter[str] = Counter()
    drawn = []
    for part in parts:
        seconds = part.length // timedelta(seconds=1)
        lengths[part.status] += seconds
        drawn.append(
            {
                "stretch": part,
                "left": f"{100 * ((part.start - since) / timedelta(seconds=1)) / whole_time:.3f}",
                "width": f"{100 * seconds / whole_time:.3f}",
            }
        )
    statuses = lengths.most_common()
    shares = tenths_of_a_percent([seconds for _, seconds in statuses])
    return {
        "parts": drawn,
        "shares": [
            (status, f"{share:.1f} %")
            for (status, _), share in zip(statuses, shares, strict=True)
            if share
        ],
    }
