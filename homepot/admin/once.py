"""Forms that make something new are good for once: a second click makes no second thing.

A page that asks carries a token. What was done with it is kept for a day beside what the API
keeps of its Idempotency-Keys, in the transaction of the effect, so that of two clicks at the
same moment one does it and both lead to what it made.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import orjson
from django.http import HttpRequest, QueryDict

from homepot.idempotency import Done, do_once, done_before

FIELD = "once"
TOKEN = re.compile(r"[\w-]{22,64}\Z", re.ASCII)
# What tells nothing of what is asked for.
LEFT_OUT = frozenset({FIELD, "csrfmiddlewaretoken"})


def new_token() -> tuple[str, str]:
    """A hidden field for a form that is shown now."""
    return FIELD, secrets.token_urlsafe(16)


def has_token(request: HttpRequest) -> bool:
    """Whether the form that was sent is one that was shown."""
    return bool(TOKEN.match(request.POST.get(FIELD, "")))


def was_done(request: HttpRequest) -> Done | None:
    """What came of the form when it was sent before; raises KeyReusedError."""
    return done_before(*_key(request), _told(request))


def once(request: HttpRequest, do: Callable[[], dict[str, Any]]) -> Done:
    """Do what the form asks for, which `do` answers as JSON, unless that was done already.

    Raises KeyReusedError when its fields differ from then.
    """
    return do_once(*_key(request), _told(request), lambda: (200, do()))


def _key(request: HttpRequest) -> tuple[str, str]:
    # Apart from the keys of the API, which its callers choose themselves.
    return f"form of user {request.user.pk}", request.POST[FIELD]


def _told(request: HttpRequest) -> bytes:
    sent: QueryDict = request.POST
    fields = sorted((name, values) for name, values in sent.lists() if name not in LEFT_OUT)
    return f"{request.path}\n".encode() + orjson.dumps(fields)
