"""What Prometheus is told of jobs; see homepot/metrics/."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client.core import GaugeMetricFamily, Metric

from jobs.enums import OPEN
from jobs.models import JobExecution


def open_executions() -> Iterator[Metric]:
    """What devices have to do still."""
    family = GaugeMetricFamily(
        "homepot_open_executions", "Shares of jobs that have not ended.", labels=["status"]
    )
    counts = dict(
        JobExecution.objects.open().order_by().values_list("status").annotate(number=Count("id"))
    )
    for status in sorted(OPEN):
        family.add_metric([status.value], counts.get(status, 0))
    yield family
