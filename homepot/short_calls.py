"""What devices send all the time, answered before it becomes a request of Django's.

Making request and response takes Django about as long as a check-in takes otherwise. Here only
the usual is answered: a POST with id, key and a body that is written as most devices write it.
Everything else goes the long way, to the views, and so does what went wrong here: they raise it
again, and put it into words.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from homepot.metrics.counters import REQUESTS
from homepot.renderers import to_json
from homepot.request_context import FAILURE, context_of, current_request
from homepot.short_ways import Answer, posts_json, read_body

# By device id, key and body: the answer's body. None leaves it to the view, with nothing done.
Call = Callable[[str, str, bytes], dict[str, Any] | None]


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
        if call is None or not posts_json(environ):
            return None
        device_id, key = environ.get("HTTP_X_DEVICE_ID"), environ.get("HTTP_X_API_KEY")
        if not device_id or not key:
            return None
        began = time.perf_counter()
        body = read_body(environ)
        if body is None:
            return None
        context = context_of(_Request(environ))
        token = current_request.set(context)
        try:
            answer = call(device_id, key, body)
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
