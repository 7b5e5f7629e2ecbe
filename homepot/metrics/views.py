"""/metrics, for Prometheus with the token of METRICS__TOKEN."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from homepot.metrics.folder import VARIABLE
from homepot.readiness import free_disk_bytes, readiness

OF_ONE_PROCESS = re.compile(r"gauge_live\w*_(\d+)\.db")


def metrics(request: HttpRequest) -> HttpResponse:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token, settings.METRICS_TOKEN):
        return HttpResponse(
            "Send the token of METRICS__TOKEN.\n",
            status=HTTPStatus.UNAUTHORIZED,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"},
        )
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(
        encode(_registry()), content_type=content_type, headers={"Cache-Control": "no-store"}
    )


def _registry() -> CollectorRegistry:
    """What all processes of this server counted, and what the database knows."""
    folder = os.environ.get(VARIABLE)
    if folder:
        _forget_the_dead(Path(folder))
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)
    else:
        registry = CollectorRegistry()
        registry.register(REGISTRY)
    registry.register(Asked())
    return registry


def _forget_the_dead(folder: Path) -> None:
    """Let the sums leave out what is true of living processes only; their counts stay."""
    for found in folder.glob("gauge_live*.db"):
        match = OF_ONE_PROCESS.fullmatch(found.name)
        if match and not _is_alive(int(match[1])):
            with suppress(FileNotFoundError):
                mark_process_dead(int(match[1]), str(folder))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Asked:
    """Collects what is asked for now."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "homepot_disk_free_bytes", "Room where this server writes.", free_disk_bytes()
        )
        (database, *_) = readiness.parts()
        is_up = database.is_well
        if is_up:
            try:
                for path in settings.METRIC_SOURCES:
                    yield from import_string(path)()
            except Error:
                is_up = False
        yield GaugeMetricFamily("homepot_database_up", "1 when the database answers.", is_up)
