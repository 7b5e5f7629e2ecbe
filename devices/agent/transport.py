"""HTTP to one server: JSON objects in and out, over connections that stay open."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from typing import Any
from urllib.parse import urlsplit

from devices.agent.errors import AgentError, NotReachedError, RefusedError, StrangeAnswerError

BASE_PATH = "/api/v1"
USER_AGENT = "homepot-agent/1"
TIMEOUT_SECONDS = 15.0
MAX_ANSWER_BYTES = 10 * 1024 * 1024
# Whoever sends a longer Retry-After is not believed.
MAX_RETRY_AFTER_SECONDS = 3600.0


class Transport:
    """Any number of threads may use it; each has a connection of its own."""

    def __init__(
        self, url: str, *, timeout: float = TIMEOUT_SECONDS, ca_file: str | None = None
    ) -> None:
        """`ca_file`: certificates to trust instead of the system's. Raises AgentError."""
        try:
            parts = urlsplit(url)
            self.host, port = parts.hostname or "", parts.port
        except ValueError:
            raise AgentError(f"{url!r} is no address of a server.") from None
        if parts.scheme not in ("http", "https") or not self.host:
            raise AgentError(f"{url!r} is no address of a server: write https://host or http://.")
        if parts.username or parts.query or parts.fragment:
            raise AgentError(f"{url!r} holds more than the address of a server.")
        self.port = port or (443 if parts.scheme == "https" else 80)
        self.url = url.rstrip("/")
        self._path = parts.path.rstrip("/") + BASE_PATH
        self._timeout = timeout
        self._tls = _tls_context(ca_file) if parts.scheme == "https" else None
        self._own = threading.local()
        self._connections: list[HTTPConnection] = []

    def send(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        """Send `body` to `path` below /api/v1 and return the JSON object that is answered.

        Raises RequestError. What it says is sent a second time only when a connection that had
        rested turns out to be closed, so a request must do no harm when it arrives twice.
        """
        connection = self._connection()
        data = None if body is None else json.dumps(body).encode()
        sent = {"User-Agent": USER_AGENT, "Accept": "application/json", **headers}
        if data is not None:
            sent["Content-Type"] = "application/json"
        has_rested = connection.sock is not None
        try:
            try:
                return self._exchange(connection, method, path, data, sent)
            except ConnectionError:
                connection.close()
                if not has_rested:
                    raise
                return self._exchange(connection, method, path, data, sent)
        except (OSError, HTTPException) as error:
            connection.close()
            raise self._not_reached(error) from None

    def close(self) -> None:
        """Close the connections of all threads; each opens again when it is used."""
        for connection in self._connections:
            connection.close()

    def _connection(self) -> HTTPConnection:
        connection: HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            if self._tls is None:
                connection = HTTPConnection(self.host, self.port, timeout=self._timeout)
            else:
                connection = HTTPSConnection(
                    self.host, self.port, timeout=self._timeout, context=self._tls
                )
            self._own.connection = connection
            self._connections.append(connection)
        return connection

    def _exchange(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        data: bytes | None,
        headers: dict[str, str],
    ) -> dict[str, Any]:
        connection.request(method, self._path + path, data, headers)
        with connection.getresponse() as response:
            text = response.read(MAX_ANSWER_BYTES + 1)
        if len(text) > MAX_ANSWER_BYTES:
            connection.close()
            raise StrangeAnswerError(f"{self.url} answered with more than {MAX_ANSWER_BYTES} B.")
        if response.length:
            raise IncompleteRead(text, response.length)
        body = _json_object(text)
        if 200 <= response.status < 300 and body is not None:
            return body
        if body is not None and response.status >= 400:
            raise RefusedError(response.status, body, _retry_after(response))
        if response.status in (429, 502, 503, 504):
            # A proxy speaks for the server that it cannot reach.
            raise RefusedError(response.status, {}, _retry_after(response))
        if location := response.getheader("Location"):
            raise StrangeAnswerError(f"{self.url} redirects to {location}; use that address.")
        raise StrangeAnswerError(
            f"{self.url} does not answer like a HOMEPOT server: HTTP {response.status}, no JSON."
        )

    def _not_reached(self, error: Exception) -> NotReachedError:
        reason, kind = "", "no connection"
        match error:
            case TimeoutError():
                reason, kind = f"no answer within {self._timeout:g} s", "no answer in time"
            case ssl.SSLCertVerificationError():
                reason, kind = f"its certificate is not trusted: {error.verify_message}", "TLS"
            case ssl.SSLError():
                reason, kind = f"it does not speak TLS: {error.reason}", "TLS"
            case socket.gaierror():
                reason = f"there is no host {self.host}"
            case ConnectionRefusedError():
                reason = "nothing listens there"
            case IncompleteRead():
                reason = "the connection ended in the middle of the answer"
            case OSError() | HTTPException():
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return NotReachedError(f"Cannot reach {self.url}: {reason}.", kind)


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or error
        raise AgentError(f"Cannot read the certificates in {ca_file}: {reason}.") from None


def _json_object(text: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _retry_after(response: HTTPResponse) -> float | None:
    """Seconds to wait, from the number or the date in Retry-After; None without one."""
    text = response.getheader("Retry-After")
    if not text:
        return None
    if text.strip().isdecimal():
        seconds = float(text)
    else:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
