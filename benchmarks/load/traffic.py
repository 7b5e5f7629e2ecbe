"""Requests at the times at which they are due, whether or not the server keeps up."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.client import Connection, with_number

BUSY = 503


@dataclass(frozen=True)
class Answer:
    """When a request was due, in seconds since the run began, and how long its answer took.

    `status` is None when there was no answer.
    """

    at: float
    seconds: float
    status: int | None


class Lines:
    """Connections for one kind of request; what finds none idle waits for the first that is."""

    def __init__(self, url: str, most: int, began: float) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._most = most
        self._began = began
        self._open = 0
        self._idle: list[Connection] = []
        self._queue: deque[tuple[bytes, float, Callable[[int | None], None] | None]] = deque()
        self._due: dict[Connection, tuple[float, Callable[[int | None], None] | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.answers: list[Answer] = []
        self.sent = 0

    def send(self, spelled: bytes, answered: Callable[[int | None], None] | None = None) -> None:
        """Send a request that is due now; `answered` hears its status."""
        self.sent += 1
        self._queue.append((with_number(spelled), time.perf_counter(), answered))
        self._go_on()

    @property
    def unanswered(self) -> int:
        return len(self._queue) + len(self._due)

    def close(self) -> None:
        for connection in [*self._idle, *self._due]:
            if connection.transport:
                connection.transport.abort()

    def _go_on(self) -> None:
        while self._queue:
            while self._idle:
                connection = self._idle.pop()
                if connection.transport:
                    break
                self._open -= 1
            else:
                if self._open < self._most:
                    self._open += 1
                    task = asyncio.ensure_future(self._connect())
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                return
            spelled, due, answered = self._queue.popleft()
            self._due[connection] = (due, answered)
            connection.send(spelled, since=due)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self._answered), *self._address
            )
        except OSError:
            self._open -= 1
            if self._queue:
                _, due, answered = self._queue.popleft()
                self._note(due, answered, None, time.perf_counter() - due)
            return
        self._idle.append(connection)
        self._go_on()

    def _answered(self, connection: Connection, status: int | None, seconds: float) -> None:
        due, answered = self._due.pop(connection)
        if connection.transport:
            self._idle.append(connection)
        else:
            self._open -= 1
        self._note(due, answered, status, seconds)
        self._go_on()

    def _note(
        self,
        due: float,
        answered: Callable[[int | None], None] | None,
        status: int | None,
        seconds: float,
    ) -> None:
        self.answers.append(Answer(due - self._began, seconds, status))
        if answered:
            answered(status)
