"""Who is asking: what logs and audit rows say about the request being served."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

USER_AGENT_LENGTH = 500
# An id given by a proxy is kept when it is harmless in a log line.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


@dataclass(frozen=True)
class RequestContext:
    request_id: str
    ip_address: str | None
    user_agent: str


# None outside of requests: commands, sweeps.
current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


def context_of(request: HttpRequest) -> RequestContext:
    """Read the context of `request`; a missing or odd X-Request-ID is replaced by a new one."""
    given_id = request.headers.get("X-Request-ID", "")
    return RequestContext(
        request_id=given_id if REQUEST_ID.fullmatch(given_id) else uuid.uuid4().hex,
        ip_address=client_address(request),
        user_agent=printable(request.headers.get("User-Agent", ""))[:USER_AGENT_LENGTH],
    )


def client_address(request: HttpRequest) -> str | None:
    """The address of the caller: the socket's, or the last one that no trusted proxy has."""
    forwarded = request.headers.get("X-Forwarded-For", "")
    hops = [*forwarded.split(","), request.META.get("REMOTE_ADDR", "")]
    address: str | None = None
    for hop in reversed(hops):
        try:
            # Without the zone that an IPv6 address may carry: it is free text.
            parsed = ip_address(hop.strip().partition("%")[0])
        except ValueError:
            break
        address = str(parsed)
        if not is_trusted_proxy(address):
            break
    return address


def is_trusted_proxy(address: str) -> bool:
    """Whether `address` is one of TRUSTED_PROXIES."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.TRUSTED_PROXIES)


def printable(text: str) -> str:
    """`text` without control characters and surrogates, which no database column takes."""
    return "".join(character for character in text if character.isprintable())
