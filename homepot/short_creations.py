"""What programs create, by the shortest way from the web server's words to bytes.

Django and REST framework take longer over a POST than checking its body and writing what it
asks for. Here only the usual is answered: a body by a program with a key or token, to a view that
`creates` and has answered somebody with 201 before. Who calls is looked up, or asked with the
first thing that is looked up (see accounts/presumed.py), and what they may do, as ever. Everything
else goes the long way, and so does what went wrong here: the view raises it again, and does
nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from rest_framework.exceptions import AuthenticationFailed

from accounts.authentication import ApiKeyAuthentication, TokenAuthentication
from accounts.permissions import action_of
from accounts.policy import may
from accounts.presumed import NotConfirmed, PresumedUser, forget
from homepot.idempotency import META_KEY
from homepot.metrics.counters import REQUESTS
from homepot.metrics.middleware import readable
from homepot.parsers import loads
from homepot.renderers import to_json
from homepot.request_context import FAILURE, context_of, current_request
from homepot.routes import api_routes
from homepot.short_ways import (
    MAX_KINDS,
    OWN_HEADERS,
    RARE_CONDITIONS,
    Answer,
    is_for_users,
    kind_of,
    posts_json,
    read_body,
)

CREATED = 201
AUTHENTICATORS = (TokenAuthentication(), ApiKeyAuthentication())
NO_QUERY = QueryDict()


class Creation:
    """As much of a request as views look at when they create something."""

    method = "POST"
    query_params = NO_QUERY

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.META = environ
        self.path = environ["PATH_INFO"]
        self.user: Any = None


class ShortCreations:
    """Answers what it can, of the kinds that it was shown."""

    def __init__(self) -> None:
        self._headers: dict[tuple[Any, ...], list[tuple[str, str]]] = {}

    def answer(self, environ: dict[str, Any]) -> Answer | None:
        """The answer to a program; None when the request has to go the long way."""
        if not self._headers or not _is_usual(environ):
            return None
        began = time.perf_counter()
        match = api_routes().find(environ["PATH_INFO"])
        headers = self._headers.get(kind_of(environ, match)) if match else None
        if match is None or headers is None:
            return None
        request = Creation(environ)
        context = context_of(request)
        told = current_request.set(context)
        try:
            content = _created(match, request)
        except AuthenticationFailed:
            return None
        except NotConfirmed as error:
            forget(request.user)
            if request.user.is_confirmed:  # by what was written, and it may not be written twice
                environ[FAILURE] = error
            return None
        except Exception as error:  # the view raises it again
            environ[FAILURE] = error
            return None
        finally:
            current_request.reset(told)
        if content is None:
            return None
        if settings.METRICS_TOKEN:
            measured = REQUESTS.labels(readable(match.route), "POST", CREATED)
            measured.observe(time.perf_counter() - began)
        own = [("X-Request-ID", context.request_id), ("Content-Length", str(len(content)))]
        return Answer("201 Created", [*headers, *own], content)

    def note(self, request: HttpRequest, response: HttpResponse) -> None:
        """Answer from now on what is of the kind of `request`, which had this `response`."""
        match = request.resolver_match
        if (
            response.status_code != CREATED
            or response.cookies
            or match is None
            or not _is_usual(request.META)
            or not is_for_users(match.func, "post", "creates")
        ):
            return
        if len(self._headers) >= MAX_KINDS:
            self._headers.clear()
        self._headers[kind_of(request.META, match)] = [
            (name, value) for name, value in response.items() if name not in OWN_HEADERS
        ]


def _created(match: Any, request: Any) -> bytes | None:
    """The answer's body; None for whoever may not have it, with nothing done."""
    environ = request.META
    view = match.func.cls(**match.func.initkwargs)
    request.user = PresumedUser.of(environ) if view.asks_before_creating else None
    if request.user is None:
        request.user = _authenticated(request)
    if request.user is None or not may(request.user, action_of(view, "POST")):
        return None
    body = read_body(environ)
    if body is None:
        return None
    view.request, view.action, view.kwargs = request, "create", match.kwargs
    view.format_kwarg = None
    return to_json(view.made(loads(body)))


def _authenticated(request: Any) -> Any:
    for authenticator in AUTHENTICATORS:
        if found := authenticator.authenticate(request):
            return found[0]
    return None


def _is_usual(environ: Mapping[str, Any]) -> bool:
    """Whether nothing about a request but its path, key and body can matter to the answer."""
    return (
        posts_json(environ)
        and "HTTP_HOST" in environ
        # What may have been done before is looked for by the view.
        and META_KEY not in environ
        and "HTTP_IF_NONE_MATCH" not in environ
        and not any(condition in environ for condition in RARE_CONDITIONS)
    )
