"""A server to send requests to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Server(ThreadingHTTPServer):
    """Notes what it sees; answers 400 to /bad, nothing to /gone, 503 to so many check-ins."""

    refusals = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: set[tuple[str, str, str | None, str]] = set()
        self.lock = threading.Lock()

    def status_of(self, path: str) -> int:
        with self.lock:
            if path.endswith("/check-in") and self.refusals:
                self.refusals -= 1
                return 503
        return 400 if path.startswith("/bad") else 200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        self.server.seen.add((self.command, self.path, self.headers["X-Key"], body))
        if self.path == "/gone":
            self.close_connection = True
            return
        self.send_response(self.server.status_of(self.path))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield server
        server.shutdown()
        thread.join()
