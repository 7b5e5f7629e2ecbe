"""A line to the database server that a test can cut and mend."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"


class Line:
    """Listens on a port of its own and passes on what comes to the server of `url`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        folder = parse_qs(parts.query).get("host", [""])[0]
        port = parts.port or 5432
        self._server = f"{folder}/.s.PGSQL.{port}" if folder else (parts.hostname, port)
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        account = parts.netloc.rpartition("@")[0]
        self.url = parts._replace(netloc=f"{account}@{HOST}:{self.port}", query="").geturl()
        self._start()

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        # Wakes the thread that accepts, which would keep the port open.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for end in list(self._sockets):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Take connections again."""
        self._listener = socket.create_server((HOST, self.port))
        self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
                server = socket.socket(family)
                server.connect(self._server)
                for source, target in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pass_on, args=[source, target], daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        self._sockets.add(source)
        with closing(source), suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        self._sockets.discard(source)


@contextmanager
def line_to(url: str) -> Iterator[Line]:
    """A `Line` to the server of `url` for as long as the block lasts."""
    line = Line(url)
    try:
        yield line
    finally:
        line.cut()
