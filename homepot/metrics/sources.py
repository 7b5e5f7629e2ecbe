"""What is asked when Prometheus comes; settings.METRIC_SOURCES names these and those of apps."""

from __future__ import annotations

import math
from collections.abc import Iterator

from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from homepot.sweeps import sweep_states


def sweeps() -> Iterator[Metric]:
    """How the work is doing that comes round every few seconds."""
    age = GaugeMetricFamily(
        "homepot_sweep_age_seconds", "Time since a sweep last succeeded.", labels=["sweep"]
    )
    overdue = GaugeMetricFamily(
        "homepot_sweep_overdue", "1 when a sweep did not run in time.", labels=["sweep"]
    )
    failing = GaugeMetricFamily(
        "homepot_sweep_failing", "1 when the last run of a sweep failed.", labels=["sweep"]
    )
    duration = GaugeMetricFamily(
        "homepot_sweep_duration_seconds", "How long the last good run took.", labels=["sweep"]
    )
    for state in sweep_states(timezone.now()):
        labels = [state.name.rpartition(".")[2]]
        age.add_metric(labels, math.inf if state.age_seconds is None else state.age_seconds)
        overdue.add_metric(labels, state.is_overdue)
        failing.add_metric(labels, bool(state.last_error))
        duration.add_metric(labels, (state.duration_ms or 0) / 1000)
    yield from (age, overdue, failing, duration)
