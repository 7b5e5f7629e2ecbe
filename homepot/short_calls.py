"""What devices send all the time, answered before it becomes a request of Django's.

Making request and response takes Django about as long as a check-in takes otherwise. Here only
the usual is answered: a POST with id, key and a body that is written as most devices write it.
Everything else goes the long way, to the views, and so does what went wrong here: they raise it
again, and put it into words.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from homepot.metrics.counters import REQUESTS
from homepot.parsers import MAX_BODY_BYTES
from homepot.renderers import to_json
from homepot.request_context import FAILURE, context_of, current_request
from homepot.short_reads import Answer

# By device id, key and body: the answer's body. None leaves it to the view, with nothing done.
Call = Callable[[str, str, bytes], dict[str, Any] | None]

USUAL_TYPES = frozenset(
    {"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"}
)
USUAL_ACCEPTS = frozenset({"*/*", "application/json"})


class _Request:
    """As much of a request as its context looks at."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.META = environ


class ShortCalls:
    """settings.SHORT_CALLS maps paths, without the final slash, to the `Call` for each."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {
            path: import_string(name) for path, name in settings.SHORT_CALLS.items()
        }

    def answer(self, environ: dict[str, Any]) -> Answer | None:
        """The answer to a device; None when the request has to go the long way."""
        path = environ["PATH_INFO"].removesuffix("/")
        call = self._calls.get(path)
        if call is None or not _is_usual(environ):
            return None
        began = time.perf_counter()
        try:
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        except OSError:  # whoever sends it is gone
            return None
        environ["wsgi.input"] = BytesIO(body)  # for the long way
        context = context_of(_Request(environ))
        token = current_request.set(context)
        try:
            answer = call(environ["HTTP_X_DEVICE_ID"], environ["HTTP_X_API_KEY"], body)
        except Exception as error:  # the view raises it again
            environ[FAILURE] = error
            return None
        finally:
            current_request.reset(token)
        if answer is None:
            return None
        content = to_json(answer)
        if settings.METRICS_TOKEN:
            REQUESTS.labels(path, "POST", 200).observe(time.perf_counter() - began)
        headers = [("Content-Type", "application/json"), ("X-Request-ID", context.request_id)]
        return Answer("200 OK", headers, content)


def _is_usual(environ: dict[str, Any]) -> bool:
    length = environ.get("CONTENT_LENGTH", "")
    return (
        environ["REQUEST_METHOD"] == "POST"
        and bool(environ.get("HTTP_X_DEVICE_ID") and environ.get("HTTP_X_API_KEY"))
        and length.isdecimal()
        and 0 < int(length) <= MAX_BODY_BYTES
        and "HTTP_TRANSFER_ENCODING" not in environ
        and not environ.get("QUERY_STRING")
        and environ.get("CONTENT_TYPE", "").lower() in USUAL_TYPES
        and environ.get("HTTP_ACCEPT", "*/*") in USUAL_ACCEPTS
    )
