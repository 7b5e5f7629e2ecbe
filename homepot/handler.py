"""The way from the web server into Django, for requests with whatever headers."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.db import connections
from django.utils.http import parse_header_parameters

from homepot.middleware import is_program
from homepot.read_only import is_read_only
from homepot.request_context import is_trusted_proxy
from homepot.short_calls import ShortCalls
from homepot.short_creations import ShortCreations
from homepot.short_reads import ShortReads


class TolerantRequest(WSGIRequest):
    """A request that no header can end before a view answers it.

    A Content-Type or Accept that cannot be parsed, which raises where Django and REST
    framework read it, counts as missing. The query is UTF-8 whatever the charset of the body.
    Whether it came over TLS is what a trusted proxy says in X-Forwarded-Proto; anybody else's
    word does not count.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        for name in ("CONTENT_TYPE", "HTTP_ACCEPT"):
            if name in environ and not _is_readable(environ[name]):
                del environ[name]
        super().__init__(environ)

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(
            meta.get("CONTENT_TYPE", "")
        )

    def _get_scheme(self) -> str:
        told = self.META.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
        if told in ("http", "https") and is_trusted_proxy(self.META.get("REMOTE_ADDR", "")):
            return told
        return super()._get_scheme()  # type: ignore[misc]


class TolerantWSGIHandler(WSGIHandler):
    """Django's own, but for two things that cost more than many views.

    A body that is there as a whole goes to the server at once: what it asks for piece by piece,
    granian sends through a channel. Short paths and programs send no signals, whose receivers
    look after caches, static files and each database; theirs is looked after here. What devices
    send, and programs read and create, all the time does not even become a request: see
    short_calls.py, short_reads.py and short_creations.py.
    """

    request_class = TolerantRequest

    def __init__(self) -> None:
        super().__init__()
        self._short_calls = ShortCalls()
        self._short_reads = ShortReads()
        self._short_creations = ShortCreations()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if self._is_short(environ) and not is_read_only():
            return self._answer_at_once(environ, start_response)
        response: Any = super().__call__(environ, start_response)
        if getattr(response, "streaming", True):
            return response
        body = [response.content]
        response.close()
        return body

    def _is_short(self, environ: dict[str, Any]) -> bool:
        # Devices are programs too, and their key is the sooner seen.
        return is_program(environ) or environ["PATH_INFO"].removesuffix("/") in settings.SHORT_PATHS

    def _answer_at_once(self, environ: dict[str, Any], start_response: Any) -> Any:
        try:
            answer = (
                self._short_calls.answer(environ)
                or self._short_reads.answer(environ)
                or self._short_creations.answer(environ)
            )
            if answer:
                start_response(answer.status, answer.headers)
                return [answer.body]
            request = self.request_class(environ)
            response: Any = self.get_response(request)
            self._short_reads.note(request, response)
            self._short_creations.note(request, response)
        finally:
            # A caller that holds a transaction open looks after its connection itself.
            database: Any = connections["default"]
            if database.connection is not None and not database.in_atomic_block:
                database.close_if_unusable_or_obsolete()
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        # What streams says itself that it is at its end, as all other requests do.
        return response if response.streaming else [response.content]


def _is_readable(header: str) -> bool:
    try:
        for entry in header.split(","):
            parse_header_parameters(entry)
    except ValueError:
        return False
    return True
