"""Times every request."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.contrib.admindocs.views import simplify_regex
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from homepot.metrics.counters import REQUESTS

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class MeasuringMiddleware:
    """Notes route, status and time of each request; unused unless somebody may read them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.METRICS_TOKEN:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        REQUESTS.labels(
            route_of(request),
            request.method if request.method in METHODS else "other",
            response.status_code,
        ).observe(time.perf_counter() - began)
        return response


def route_of(request: HttpRequest) -> str:
    """The pattern of the path, `/api/v1/sites/sites/<site_id>`; never what a caller chose."""
    path = request.path_info.removesuffix("/")
    if path in settings.SHORT_PATHS:
        return path
    if request.resolver_match is not None:
        return readable(request.resolver_match.route)
    return "static files" if path.startswith(settings.STATIC_URL) else "unknown"


@cache
def readable(route: str) -> str:
    return str(simplify_regex(route)).removesuffix("/") or "/"
