"""Whether the service lives and works, for those who start, watch and balance it.

- /livez: this process answers. When it does not, start it anew.
- /readyz: every part of the service is well; says which is not.
- /api/v1/health/health: this process can serve requests. Unlike /readyz it looks at nothing that
  another web process would not do better, so that a missing worker takes no server away.

All are open to everybody, answer 503 when not, and stay off middleware, sessions and the pool.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework.exceptions import MethodNotAllowed

from homepot.errors import RETRY_AFTER_SECONDS, plain_problem_response
from homepot.readiness import Part, look_at_disk, readiness

NEEDED_TO_SERVE = ("database", "migrations")

View = Callable[[HttpRequest], HttpResponse]


def probe(look: Callable[[], tuple[bool, dict[str, Any]]]) -> View:
    """A view for GET from `look`, which tells whether all is well and what to answer."""

    @wraps(look)
    def view(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return plain_problem_response(MethodNotAllowed(request.method or ""))
        is_well, answer = look()
        response = HttpResponse(
            orjson.dumps(answer),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )
        if not is_well:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    return view


@probe
def livez() -> tuple[bool, dict[str, Any]]:
    return True, {"status": "alive"}


@probe
def readyz() -> tuple[bool, dict[str, Any]]:
    return _told([*readiness.parts(), look_at_disk()], well="ready", unwell="not_ready")


@probe
def health() -> tuple[bool, dict[str, Any]]:
    parts = [part for part in readiness.parts() if part.name in NEEDED_TO_SERVE]
    is_well, answer = _told(parts, well="healthy", unwell="unhealthy")
    return is_well, answer | {"timestamp": timezone.now()}


def _told(parts: list[Part], *, well: str, unwell: str) -> tuple[bool, dict[str, Any]]:
    is_well = all(part.is_well for part in parts)
    checks = {part.name: {"is_well": part.is_well, "detail": part.detail} for part in parts}
    return is_well, {"status": well if is_well else unwell, "checks": checks}
