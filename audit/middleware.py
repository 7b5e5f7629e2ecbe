"""Tells the audit log of refused permissions, wherever they were refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from audit import services
from homepot.read_only import is_read_only

logger = logging.getLogger(__name__)


class RefusedPermissionMiddleware:
    """Looks at answers and not at exceptions: API, admin and error pages all end as a 403.

    Whatever was refused has been rolled back by then, and its audit row stays.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == HTTPStatus.FORBIDDEN:
            _record(request)
        return response


def _record(request: HttpRequest) -> None:
    actor: Any = getattr(request, "user", None)
    if actor is None or actor.pk is None:  # nobody is signed in
        return
    if is_read_only():
        logger.warning("Refused and not audited, in read-only mode: %s", request.path)
        return
    try:
        services.record_refused_permission(
            actor=actor,
            route=request.resolver_match.route if request.resolver_match else request.path,
            method=request.method or "",
            path=request.path,
            now=timezone.now(),
        )
    except DatabaseError:
        # The refusal stands, told of or not.
        logger.exception("A refused permission could not be written to the audit log")
