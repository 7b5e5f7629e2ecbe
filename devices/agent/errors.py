"""What can go wrong between an agent and its server."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

# These say something of the device or the server as a whole, not of the one request.
GENERAL_STATUSES = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class AgentError(Exception):
    """The agent cannot start; the message says why, and what would help."""


class RequestError(Exception):
    """A request without the answer hoped for; the message says why, in one sentence.

    `kind` is a word or two for counting. `is_general`: the next request would fare the same.
    """

    kind = "bad answer"
    is_general = True
    # Seconds for which the server asked to be left alone.
    retry_after: float | None = None


class NotReachedError(RequestError):
    """No answer came; whether the request arrived is unknown."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class StrangeAnswerError(RequestError):
    """An answer came, but not from a HOMEPOT server: a login page of the network, say."""


class RefusedError(RequestError):
    """The server said no. `code` is for programs, `errors` holds messages by field."""

    def __init__(self, status: int, body: dict[str, Any], retry_after: float | None) -> None:
        super().__init__(str(body.get("detail") or f"The server answered with HTTP {status}."))
        self.status = status
        self.code = str(body.get("code") or "")
        self.errors = body.get("errors") or {}
        self.retry_after = retry_after
        self.kind = f"HTTP {status}"
        self.is_general = status in GENERAL_STATUSES
