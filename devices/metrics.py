"""What Prometheus is told of devices; see homepot/metrics/."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Count
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily, Metric

from devices.enums import DeviceStatus
from devices.models import Device

_CHECK_INS = Counter("homepot_check_ins", "Check-ins taken in.", ["sent"])
_ALONE = _CHECK_INS.labels("alone")
_IN_A_BATCH = _CHECK_INS.labels("in a batch")


def count_check_in() -> None:
    """Count one, as the next does many, if anybody may read it: it is written to a file."""
    if settings.METRICS_TOKEN:
        _ALONE.inc()


def count_batch(check_ins: int) -> None:
    if settings.METRICS_TOKEN:
        _IN_A_BATCH.inc(check_ins)


def devices_by_status() -> Iterator[Metric]:
    """As stored, which is at most seconds behind: with the time of now it would take longer."""
    family = GaugeMetricFamily(
        "homepot_devices", "Devices that are not retired, by status.", labels=["status"]
    )
    counts = dict(
        Device.objects.active().order_by().values_list("status").annotate(number=Count("id"))
    )
    for status in DeviceStatus:
        family.add_metric([status.value], counts.get(status, 0))
    yield family
