"""The way from the web server into Django, for requests with whatever headers."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

from homepot.request_context import is_trusted_proxy


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
    request_class = TolerantRequest


def _is_readable(header: str) -> bool:
    try:
        for entry in header.split(","):
            parse_header_parameters(entry)
    except ValueError:
        return False
    return True
