"""Who is served first, and who is told to come again, when requests come faster than answers.

A web process works on as many requests at once as `manage.py serve` has `--threads`; others wait
here. Devices' check-ins can wait the longest: they come by the thousand, and come again by
themselves. So everything else goes first, and when too many check-ins wait, further ones are
answered 503 with Retry-After at once, before they cost anything. No outcome of work and no page
is ever refused here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from django.conf import settings

from homepot.errors import PROBLEM_CONTENT_TYPE, Busy, problem
from homepot.metrics.counters import DEFERRED
from homepot.turns import Turns

# For what waits besides check-ins. Only when more do, some wait outside, where nobody goes first.
SPARE_THREADS = 48

WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]


def waiting_threads() -> int:
    """How many threads a process needs besides those that work: to wait is to have a thread."""
    return settings.MAX_WAITING_CHECK_INS + SPARE_THREADS


class Admission:
    """Puts a WSGI application behind turns."""

    def __init__(self, application: WSGI, working: int) -> None:
        self._application = application
        # Looked at for every request, and settings take their time.
        self._undelayed, self._deferrable = settings.UNDELAYED_PATHS, settings.DEFERRABLE_PATHS
        self._turns = Turns(working, settings.MAX_WAITING_CHECK_INS)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"].removesuffix("/")
        if path in self._undelayed:
            return self._application(environ, start_response)
        if not self._turns.take(is_deferrable=path in self._deferrable):
            return _refuse(start_response)
        try:
            return self._application(environ, start_response)
        finally:
            self._turns.give_back()


def _refuse(start_response: Any) -> list[bytes]:
    DEFERRED.inc()
    # Spread, so that they do not come again all at once; within half an interval, so that nobody
    # becomes silent over one of them.
    wait = 1 + random.randrange(max(1, settings.CHECK_IN_SECONDS // 2))  # noqa: S311
    body = problem(Busy.status_code, "The server is busy; come again.", code=Busy.default_code)
    content = orjson.dumps(body)
    headers = [
        ("Content-Type", PROBLEM_CONTENT_TYPE),
        ("Content-Length", str(len(content))),
        ("Retry-After", str(wait)),
    ]
    start_response("503 Service Unavailable", headers)
    return [content]
