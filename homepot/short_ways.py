"""What the short ways have in common: which requests are usual, and whom and what they are for.

short_reads.py, short_calls.py and short_creations.py answer these from the web server's words,
before they become requests of Django's.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

from django.urls import ResolverMatch
from rest_framework.settings import api_settings

from homepot.parsers import MAX_BODY_BYTES
from homepot.viewsets import StrictViewSet

USUAL_ACCEPTS = frozenset({"*/*", "application/json"})
USUAL_TYPES = frozenset(
    {"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"}
)
# Other conditions than to send nothing but news.
RARE_CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE")
# A new one for each answer.
OWN_HEADERS = frozenset({"Content-Length", "ETag", "X-Request-ID"})
# Kinds that are kept. Callers choose the host, as far as ALLOWED_HOSTS lets them.
MAX_KINDS = 1000


class Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes


def accepts_json(environ: Mapping[str, Any]) -> bool:
    return environ.get("HTTP_ACCEPT", "*/*") in USUAL_ACCEPTS


def posts_json(environ: Mapping[str, Any]) -> bool:
    """Whether a request is a POST of JSON that is there as a whole, and wants JSON back."""
    length = environ.get("CONTENT_LENGTH") or ""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and length.isdecimal()
        and 0 < int(length) <= MAX_BODY_BYTES
        and "HTTP_TRANSFER_ENCODING" not in environ
        and not environ.get("QUERY_STRING")
        and environ.get("CONTENT_TYPE", "").lower() in USUAL_TYPES
        and accepts_json(environ)
    )


def read_body(environ: dict[str, Any]) -> bytes | None:
    """The body, which the long way can read again; None when whoever sends it is gone."""
    try:
        body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    except OSError:
        return None
    environ["wsgi.input"] = BytesIO(body)
    return body


def kind_of(environ: Mapping[str, Any], match: ResolverMatch) -> tuple[Any, ...]:
    """All that headers and links depend on: the route, and the address that was called."""
    told = environ.get("HTTP_X_FORWARDED_PROTO")
    proxy = (told, environ.get("REMOTE_ADDR")) if told else None
    return match.func, environ["HTTP_HOST"], environ["wsgi.url_scheme"], proxy


def is_for_users(callback: Any, method: str, marker: str) -> bool:
    """Whether the action for `method` has this marker, and lets users in as all views do."""
    view = getattr(callback, "cls", None)
    return (
        isinstance(view, type)
        and issubclass(view, StrictViewSet)
        and hasattr(getattr(view, callback.actions.get(method, ""), None), marker)
        and view.authentication_classes == api_settings.DEFAULT_AUTHENTICATION_CLASSES
        and view.permission_classes == api_settings.DEFAULT_PERMISSION_CLASSES
        and not view.throttle_classes
    )
