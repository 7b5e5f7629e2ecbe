"""What an agent makes of whatever answers: servers, proxies, login pages of a network."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from devices.agent.errors import (
    AgentError,
    NotReachedError,
    RefusedError,
    RequestError,
    StrangeAnswerError,
)
from devices.agent.transport import Transport

TIMEOUT_SECONDS = 0.5


class OddServer:
    """Gives each request that arrives the next of `answers`: bytes, or None to hang up."""

    def __init__(self, *answers: bytes | None, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._answers = list(answers)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        # Closing alone does not wake a thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self._talk(
                        self._tls.wrap_socket(connection, server_side=True)
                        if self._tls
                        else connection
                    )
                except OSError:
                    continue

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            while self._answers and (request := connection.recv(65536)):
                head, _, body = request.partition(b"\r\n\r\n")
                lengths = re.findall(rb"\r\nContent-Length: (\d+)", head)
                length = int(lengths[0]) if lengths else 0
                while len(body) < length:
                    body += connection.recv(65536)
                self.requests.append(head + b"\r\n\r\n" + body)
                answer = self._answers.pop(0)
                if answer is None:
                    return
                connection.sendall(answer)


@pytest.fixture
def serve() -> Iterator[Callable[..., OddServer]]:
    servers: list[OddServer] = []

    def start(*answers: bytes | None, **options: ssl.SSLContext) -> OddServer:
        servers.append(OddServer(*answers, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def send(url: str, **options: object) -> dict[str, object]:
    with closing(Transport(url, timeout=TIMEOUT_SECONDS, **options)) as transport:  # type: ignore[arg-type]
        return transport.send("POST", "/agent/check-in", {"a": 1}, {"X-Device-ID": "till-1"})


def error_of(url: str, **options: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        send(url, **options)
    return caught.value


def problem(status: int) -> bytes:
    return json.dumps({"status": status, "detail": "Not now.", "code": "some_code"}).encode()


def test_request_is_json_with_its_headers(serve):
    server = serve(answer("200 OK", b'{"status": "success"}'))
    assert send(f"http://127.0.0.1:{server.port}/homepot/") == {"status": "success"}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /homepot/api/v1/agent/check-in HTTP/1.1\r\n")
    assert {b"X-Device-ID: till-1", b"Content-Type: application/json"} < set(head.split(b"\r\n"))
    assert json.loads(body) == {"a": 1}


@pytest.mark.parametrize(
    ("given", "kind", "words", "is_general"),
    [
        (answer("401 Unauthorized", problem(401)), "HTTP 401", "Not now.", True),
        (answer("409 Conflict", problem(409)), "HTTP 409", "Not now.", False),
        (answer("500 Oops", problem(500)), "HTTP 500", "Not now.", False),
        # A proxy before a server that is away.
        (answer("502 Bad Gateway", b"<html>"), "HTTP 502", "answered with HTTP 502", True),
        (answer("503 Away", b""), "HTTP 503", "answered with HTTP 503", True),
        # The login page of a network that lets nobody through.
        (answer("200 OK", b"<html>Welcome"), "bad answer", "not answer like a HOMEPOT", True),
        (answer("200 OK", b"[]"), "bad answer", "not answer like a HOMEPOT", True),
        (answer("404 Not Found", b"<html>"), "bad answer", "HTTP 404, no JSON", True),
        (
            answer("301 Moved", b"", "Location: https://other.example.com"),
            "bad answer",
            "redirects to https://other.example.com",
            True,
        ),
        (b"SSH-2.0-OpenSSH_9\r\n", "no connection", "Cannot reach", True),
        (answer("200 OK", b"{}")[:20], "bad answer", "no JSON", True),
        (answer("200 OK", b"{}")[:-1], "no connection", "in the middle of the answer", True),
        (None, "no connection", "Cannot reach", True),
    ],
)
def test_answers_other_than_the_one_hoped_for(serve, given, kind, words, is_general):
    error = error_of(f"http://127.0.0.1:{serve(given).port}")
    assert words in str(error)
    assert (error.kind, error.is_general) == (kind, is_general)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("in ten minutes", 590, 600),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        # Nobody is left alone for ever.
        ("99999999", 3600, 3600),
    ],
)
def test_retry_after_is_a_number_or_a_date(serve, header, low, high):
    if header == "in ten minutes":
        header = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    server = serve(answer("429 Slow down", problem(429), f"Retry-After: {header}"))
    error = error_of(f"http://127.0.0.1:{server.port}")
    assert isinstance(error, RefusedError)
    assert error.retry_after is not None
    assert low <= error.retry_after <= high


@pytest.mark.parametrize("header", ["X-Other: 7", "Retry-After: soon", "Retry-After: -7"])
def test_retry_after_that_says_nothing(serve, header):
    server = serve(answer("503 Away", problem(503), header))
    assert error_of(f"http://127.0.0.1:{server.port}").retry_after is None


def test_connection_stays_open_and_is_opened_again_when_the_server_closed_it(serve):
    ok = answer("200 OK", b"{}")
    server = serve(ok, None, ok)
    with closing(
        Transport(f"http://127.0.0.1:{server.port}", timeout=TIMEOUT_SECONDS)
    ) as transport:
        for number in (1, 2):
            assert transport.send("POST", "/agent/check-in", {"number": number}, {}) == {}
    bodies = [
        json.loads(request.partition(b"\r\n\r\n")[2])["number"] for request in server.requests
    ]
    assert bodies == [1, 2, 2]


def test_nobody_there():
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        late = error_of(url)
    refused = error_of(url)
    unknown = error_of("http://no-such-host.invalid")
    for error, kind, words in (
        (late, "no answer in time", "no answer within 0.5 s"),
        (refused, "no connection", "nothing listens there"),
        (unknown, "no connection", "there is no host no-such-host.invalid"),
    ):
        assert isinstance(error, NotReachedError)
        assert (error.kind, words in str(error)) == (kind, True), error


def test_certificates_are_checked(serve, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", key, "-out", certificate, "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    ok = answer("200 OK", b"{}")
    port = serve(ok, ok, ok, tls=tls).port

    assert send(f"https://localhost:{port}", ca_file=str(certificate)) == {}
    for error in (
        error_of(f"https://localhost:{port}"),
        error_of(f"https://127.0.0.1:{port}", ca_file=str(certificate)),
    ):
        assert (error.kind, "certificate is not trusted" in str(error)) == ("TLS", True), error
    plain = error_of(f"https://127.0.0.1:{serve(answer('400 Bad', b'')).port}")
    assert (plain.kind, "does not speak TLS" in str(plain)) == ("TLS", True), plain
    with pytest.raises(AgentError, match="Cannot read the certificates"):
        Transport("https://localhost", ca_file=str(tmp_path / "none.pem"))


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost", "localhost:8000", "ftp://localhost", "http://", "http://a:x"),
        *("http://user:secret@localhost", "http://localhost/?a=1", "http://localhost:99999"),
    ],
)
def test_addresses_that_are_none(url):
    with pytest.raises(AgentError):
        Transport(url)


def test_strange_answer_is_too_long(serve, monkeypatch):
    monkeypatch.setattr("devices.agent.transport.MAX_ANSWER_BYTES", 10)
    server = serve(answer("200 OK", b'{"a": "' + b"x" * 100 + b'"}'))
    assert isinstance(error_of(f"http://127.0.0.1:{server.port}"), StrangeAnswerError)
