"""Who is asking: what logs and audit rows say about the request being served."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import ip_address
from random import getrandbits
from typing import Any

from django.conf import settings

USER_AGENT_LENGTH = 500
# In the environment of a request that goes the long way: what was raised on the short one.
FAILURE = "homepot.failure"
# An id given by a proxy is kept when it is harmless in a log line.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


@dataclass(frozen=True)
class RequestContext:
    request_id: str
    ip_address: str | None
    user_agent: str


class _ContextOfRequest(RequestContext):
    """Reads address and browser once somebody asks: most requests are not logged or audited."""

    def __init__(self, request_id: str, request: Any) -> None:
        self.__dict__.update(request_id=request_id, request=request)

    @cached_property
    def ip_address(self) -> str | None:
        return client_address(self.__dict__["request"])

    @cached_property
    def user_agent(self) -> str:
        told = self.__dict__["request"].META.get("HTTP_USER_AGENT", "")
        return printable(told)[:USER_AGENT_LENGTH]


# None outside of requests: commands, sweeps.
current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


def context_of(request: Any) -> RequestContext:
    """The context of `request`, of which only META is looked at.

    A missing or odd X-Request-ID is replaced by a new one.
    """
    return _ContextOfRequest(request_id_of(request.META), request)


def request_id_of(environ: Mapping[str, Any]) -> str:
    given = environ.get("HTTP_X_REQUEST_ID", "")
    # It only has to be another one; the system's random bytes take ten times as long.
    return given if REQUEST_ID.fullmatch(given) else f"{getrandbits(128):032x}"


# Few call again and again: proxies, programs, devices.
_parsed = lru_cache(maxsize=2000)(ip_address)


def client_address(request: Any) -> str | None:
    """The address of the caller: the socket's, or the last one that no trusted proxy has."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [*forwarded.split(","), request.META.get("REMOTE_ADDR", "")]
    address: str | None = None
    for hop in reversed(hops):
        try:
            # Without the zone that an IPv6 address may carry: it is free text.
            parsed = _parsed(hop.strip().partition("%")[0])
        except ValueError:
            break
        address = str(parsed)
        if not is_trusted_proxy(address):
            break
    return address


def is_trusted_proxy(address: str) -> bool:
    """Whether `address` is one of TRUSTED_PROXIES."""
    try:
        parsed = _parsed(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.TRUSTED_PROXIES)


def printable(text: str) -> str:
    """`text` without control characters and surrogates, which no database column takes."""
    return "".join(character for character in text if character.isprintable())
