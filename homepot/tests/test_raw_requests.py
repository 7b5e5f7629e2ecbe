"""Odd requests as bytes, to the real web server: what Django's test client cannot send."""

from __future__ import annotations

import re
import socket
from contextlib import closing

import pytest

SITES = b"/api/v1/sites/sites"
SIGN_IN = b"/api/v1/auth/login"
JSON = b"Content-Type: application/json"
PROBLEM = "application/problem+json"
# Of these the web server says no more than the status.
BY_THE_SERVER = ""


def get(path, *headers):
    return b"GET %b HTTP/1.1" % path, headers, b""


def post(body, *headers, length=None):
    length = len(body) if length is None else length
    return b"POST %b HTTP/1.1" % SIGN_IN, (b"Content-Length: %d" % length, *headers), body


def chunked(body, *headers):
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    line = b"POST %b HTTP/1.1" % SIGN_IN
    return line, (b"Transfer-Encoding: chunked", JSON, *headers), chunks


REQUESTS = {
    "good": (get(SITES), 200, "application/json"),
    "absolute": (get(b"http://localhost%b" % SITES), 200, "application/json"),
    "utf-8-query": (get(SITES + b"?search=\xc3\xa9"), 200, "application/json"),
    "query-in-another-charset": (
        *(get(SITES + b"?search=%2B2AA-", JSON + b"; charset=utf-7"), 200, "application/json"),
    ),
    "no-charset": (get(SITES, JSON + b"; charset=hex"), 200, "application/json"),
    "unreadable-accept": (get(SITES, b"Accept: a/b; c*=no''x"), 200, "application/json"),
    "latin-1-header": (get(SITES, b"X-Request-ID: abcdefgh\xff"), 200, "application/json"),
    "path-newline": (get(SITES + b"%0A"), 404, PROBLEM),
    "path-of-another-script": (get(SITES + b"/\xc3\xa9"), 404, PROBLEM),
    "path-not-utf-8": (get(SITES + b"/%ff"), 400, PROBLEM),
    "path-nul": (get(SITES + b"/%00"), 400, PROBLEM),
    "query-not-utf-8": (get(SITES + b"?search=%ff"), 400, PROBLEM),
    "query-nul": (get(SITES + b"?search=%00"), 400, PROBLEM),
    "raw-path": (get(SITES + b"/\xff"), 400, BY_THE_SERVER),
    "raw-query": (get(SITES + b"?search=\xff"), 400, BY_THE_SERVER),
    "long-query": (get(SITES + b"?search=" + b"a" * 60_000), 400, PROBLEM),
    "longer-query": (get(SITES + b"?search=" + b"a" * 100_000), 414, BY_THE_SERVER),
    "other-host": (get(SITES, b"Host: example.com"), 400, PROBLEM),
    "cookie-nul": (get(SITES, rb'Cookie: sessionid="abcdefgh\000"'), 400, PROBLEM),
    "unknown-key": (get(SITES, b"X-API-Key: hpk_\xff"), 401, PROBLEM),
    "long-key": (get(SITES, b"X-API-Key: " + b"x" * 60_000), 401, PROBLEM),
    "trace": ((b"TRACE %b HTTP/1.1" % SITES, (), b""), 401, PROBLEM),
    "garbage": ((b"\0\1\2", (), b""), 400, BY_THE_SERVER),
    "empty-body": (post(b"", JSON), 400, PROBLEM),
    "bad-json": (post(b"{", JSON), 400, PROBLEM),
    "no-label": (post(b"{}"), 415, PROBLEM),
    "unreadable-label": (post(b"{}", JSON + b"; charset*=no''x"), 415, PROBLEM),
    "nul-in-label": (post(b"{}", JSON + b"; charset*=utf-8''%00"), 415, PROBLEM),
    "too-large": (post(b"", JSON, length=1024 * 1024 + 1), 413, PROBLEM),
    "said-to-be-huge": (post(b"", JSON, length=10**11), 413, PROBLEM),
    "negative-length": (post(b"{}", JSON, length=-5), 400, BY_THE_SERVER),
    "two-lengths": (post(b"{}", JSON, b"Content-Length: 3"), 400, BY_THE_SERVER),
    "chunked": (chunked(b"{}"), 411, PROBLEM),
    "chunked-with-length": (chunked(b"{}", b"Content-Length: 2"), 411, PROBLEM),
}


def send(port, data):
    """The first kilobytes of what the server answers."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        connection.sendall(data)
        return connection.recv(65_536)


def outcome(port, request):
    line, headers, body = request
    host = () if any(header.startswith(b"Host:") for header in headers) else (b"Host: localhost",)
    head = b"\r\n".join((line, *host, b"Connection: close", *headers))
    answer = send(port, head + b"\r\n\r\n" + body).decode()
    content_type = re.search(r"(?mi)^content-type: ([^\r;]*)", answer)
    return int(answer.split()[1]), content_type[1] if content_type else ""


@pytest.fixture
def port(start, migrated_database_url, free_port):
    program = start(
        *("manage.py", "serve", "--port", free_port, "--workers", "1"),
        DATABASE__URL=migrated_database_url,
        API__ANONYMOUS_READ="true",
    )
    program.wait_for_workers(1, free_port)
    yield int(free_port)
    unexpected = [line for line in program.output.splitlines() if "Internal Server Error" in line]
    assert unexpected == []


def test_odd_requests_get_their_answer_from_the_real_server(port):
    expected = {name: (status, kind) for name, (_, status, kind) in REQUESTS.items()}
    assert {name: outcome(port, request) for name, (request, *_) in REQUESTS.items()} == expected


def test_http2_needs_a_length_for_a_body(port):
    def frame(kind, flags, stream, payload):
        head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
        return head + payload

    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": SIGN_IN,
        b":authority": b"localhost",
        b"content-type": b"application/json",
    }
    headers = b"".join(
        b"\0%c%b%c%b" % (len(name), name, len(value), value) for name, value in fields.items()
    )
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    data += frame(1, 4, 1, headers) + frame(0, 1, 1, b"{}")
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        connection.sendall(data)
        answer = b""
        # What stands before it is packed, and may hold any byte.
        while b"length_required" not in answer:
            part = connection.recv(65_536)
            assert part, answer
            answer += part
