"""What programs read all the time, by the shortest way from the web server's words to bytes.

Django and REST framework take longer over a request than the database takes over its rows. Here
only the usual is answered, in one statement: a GET by somebody whom this process has let in
before (see accounts/presumed.py), of a kind that it has answered before, with 200 or 304.
Everything else goes the long way, and so does what ends in an error. What an answer carries
besides its body is what the long way gave to another of its kind: `note` keeps that.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import ResolverMatch
from rest_framework.exceptions import APIException

from accounts.presumed import NotConfirmed, PresumedUser, forget
from homepot.entity_tags import ONE_ENTITY_TAG, entity_tag
from homepot.metrics.counters import REQUESTS
from homepot.metrics.middleware import readable
from homepot.renderers import to_json
from homepot.request_context import request_id_of
from homepot.routes import api_routes
from homepot.short_ways import (
    MAX_KINDS,
    OWN_HEADERS,
    RARE_CONDITIONS,
    Answer,
    accepts_json,
    is_for_users,
    kind_of,
)

logger = logging.getLogger(__name__)

OK, NOT_MODIFIED = 200, 304
# No byte of it can be one that databases refuse.
PLAIN_QUERY = re.compile(r"(?:[A-Za-z0-9_.,:=&+-]|%[2-7][0-9A-Fa-f])*")
# What the long way meets too, and puts into words.
REFUSALS = (
    APIException,
    DatabaseError,
    Http404,
    NotConfirmed,
    PermissionDenied,
    SuspiciousOperation,
)
NO_TAG = entity_tag(b"")


class Usual(NamedTuple):
    """How the links in answers of a kind begin, and by status the line and headers of them."""

    origin: str
    answers: dict[int, tuple[str, list[tuple[str, str]]]]


class Read:
    """As much of a request as views look at when they read."""

    method = "GET"

    def __init__(self, environ: Mapping[str, Any], user: PresumedUser, origin: str) -> None:
        self.META = environ
        self.path = environ["PATH_INFO"]
        self.query_params = _parsed(environ.get("QUERY_STRING", ""))
        self.user = user
        self._origin = origin

    def build_absolute_uri(self, location: str) -> str:
        return self._origin + location


class ShortReads:
    """Answers what it can, of the kinds that it was shown."""

    def __init__(self) -> None:
        self._usual: dict[tuple[Any, ...], Usual] = {}

    def answer(self, environ: Mapping[str, Any]) -> Answer | None:
        """The answer to a program; None when the request has to go the long way."""
        if not self._usual or not _is_plain(environ):
            return None
        began = time.perf_counter()
        try:
            match = api_routes().find(environ["PATH_INFO"])
            if match is None:
                return None
            usual = self._usual.get(kind_of(environ, match))
            user = PresumedUser.of(environ) if usual else None
            if usual is None or user is None:
                return None
            body = self._read(match, Read(environ, user, usual.origin))
        except REFUSALS:
            return None
        except Exception:
            logger.exception("%s takes the long way", environ["PATH_INFO"])
            return None
        tag = entity_tag(body)
        status = NOT_MODIFIED if environ.get("HTTP_IF_NONE_MATCH") == tag else OK
        if status not in usual.answers:
            return None
        line, headers = usual.answers[status]
        headers = [*headers, ("ETag", tag), ("X-Request-ID", request_id_of(environ))]
        if status == OK:
            headers.append(("Content-Length", str(len(body))))
        if settings.METRICS_TOKEN:
            measured = REQUESTS.labels(readable(match.route), "GET", status)
            measured.observe(time.perf_counter() - began)
        return Answer(line, headers, body if status == OK else b"")

    def note(self, request: HttpRequest, response: HttpResponse) -> None:
        """Answer from now on what is of the kind of `request`, which had this `response`."""
        match = request.resolver_match
        if (
            response.status_code not in (OK, NOT_MODIFIED)
            or response.streaming
            or response.cookies
            or match is None
            or not _is_plain(request.META)
            or not is_for_users(match.func, "get", "read")
        ):
            return
        if len(self._usual) >= MAX_KINDS:
            self._usual.clear()
        origin = request.build_absolute_uri("/").removesuffix("/")
        usual = self._usual.setdefault(kind_of(request.META, match), Usual(origin, {}))
        usual.answers[response.status_code] = (
            f"{response.status_code} {response.reason_phrase}",
            [(name, value) for name, value in response.items() if name not in OWN_HEADERS],
        )

    def _read(self, match: ResolverMatch, request: Read) -> bytes:
        callback: Any = match.func
        view = callback.cls(**callback.initkwargs)
        try:
            content = view.read(request, callback.actions["get"], match.kwargs)
        except NotConfirmed:
            forget(request.user)
            raise
        if not request.user.is_confirmed:
            raise RuntimeError("No statement asked whether the caller is still who was presumed.")
        return to_json(content)


# Nobody can change one; the same few come all the time.
_parsed = lru_cache(maxsize=200)(QueryDict)


def _is_plain(environ: Mapping[str, Any]) -> bool:
    """Whether nothing about a request but its path, query and key can matter to the answer."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and "HTTP_HOST" in environ
        and environ.get("CONTENT_LENGTH", "") in ("", "0")
        and accepts_json(environ)
        and PLAIN_QUERY.fullmatch(environ.get("QUERY_STRING", "")) is not None
        and ONE_ENTITY_TAG.fullmatch(environ.get("HTTP_IF_NONE_MATCH", NO_TAG)) is not None
        and not any(condition in environ for condition in RARE_CONDITIONS)
    )
