"""A pool of connections that knows when the server is away, and notices when it is back.

psycopg's own doubles the pause between its attempts to reconnect, up to minutes, and lets each
caller wait in vain meanwhile; and after a restart of the server it finds its dead connections
one by one, a second or more apart.
"""

from __future__ import annotations

import math
import time
from functools import cached_property
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout
from psycopg_pool.pool import AddConnection

from homepot.postgresql.quick import Quick

# A connection used within this time is trusted; asking each time costs a round trip.
RESTED_AFTER_SECONDS = 1.0
# Between two attempts to reconnect.
RECONNECT_SECONDS = 0.5
# So many that were just used are kept at hand, each for so long at a time: the pool itself, which
# looks after their age, takes longer to take one and give one than some statements take.
KEPT_AT_HAND = 8
AT_HAND_SECONDS = 30.0
# How long a caller waits for a connection while the server is away: long enough for one that
# another caller gives back, short enough that callers do not use up all threads.
AWAY_WAIT_SECONDS = 0.25


class HomepotPool(ConnectionPool):
    """See above. `is_lost` while connecting fails and no connection is seen to work."""

    def __init__(self, **options: Any) -> None:
        self.is_lost = False
        # Given back a moment ago, the last one last. Nobody waits while there is one.
        self.at_hand: list[Any] = []
        self._cleared_at = -math.inf
        pool = self

        class Connection(psycopg.Connection):
            @cached_property
            def quick(self) -> Quick:
                return Quick(self)

            def _deallocate(self, name: bytes | None) -> Any:
                if name is None:  # all there are
                    self.quick.forget_prepared()
                return super()._deallocate(name)

            @classmethod
            def connect(cls, *args: Any, **kwargs: Any) -> Any:
                try:
                    connection = super().connect(*args, **kwargs)
                except psycopg.OperationalError:
                    pool.is_lost = True
                    raise
                pool.is_lost = False
                connection.born_at = time.monotonic()  # type: ignore[attr-defined]
                return connection

        super().__init__(connection_class=Connection, reconnect_timeout=math.inf, **options)

    def getconn(self, timeout: float | None = None) -> Any:
        """A connection that works.

        Raises PoolTimeout when there is none within `timeout`, or soon when the server is away.
        """
        now = time.monotonic()
        if (connection := self._take_at_hand()) is not None:
            if now - connection.last_used_at <= RESTED_AFTER_SECONDS:
                return connection
            super().putconn(connection)
        deadline = now + (self.timeout if timeout is None else timeout)
        while True:
            connection = self._take(deadline)
            if self._works(connection):
                connection.taken_at = time.monotonic()
                return connection
            super().putconn(connection)  # which throws it away
            if getattr(connection, "born_at", 0) > self._cleared_at:
                # What killed it killed the others too.
                self._cleared_at = time.monotonic()
                self.drain()

    def _take(self, deadline: float) -> Any:
        while True:
            left = deadline - time.monotonic()
            try:
                return super().getconn(min(left, AWAY_WAIT_SECONDS))
            except PoolTimeout:
                # It was put there just before the pool heard of this caller.
                if (connection := self._take_at_hand()) is not None:
                    return connection
                if self.is_lost or left <= AWAY_WAIT_SECONDS:
                    raise

    def _take_at_hand(self) -> Any:
        try:
            return self.at_hand.pop()  # without a lock, there may be none left by now
        except IndexError:
            return None

    def putconn(self, conn: Any) -> None:
        now = conn.last_used_at = time.monotonic()
        if (
            len(self.at_hand) < KEPT_AT_HAND
            and not self._waiting
            and not self.closed
            and conn.pgconn.transaction_status == TransactionStatus.IDLE
            and now - conn.taken_at <= AT_HAND_SECONDS
        ):
            self.is_lost = False
            self.at_hand.append(conn)
            return
        if not conn.broken:
            self.is_lost = False
        super().putconn(conn)

    def close(self, timeout: float = 5.0) -> None:
        while (connection := self._take_at_hand()) is not None:
            super().putconn(connection)
        super().close(timeout)

    def schedule_task(self, task: Any, delay: float) -> None:
        if isinstance(task, AddConnection):
            delay = min(delay, RECONNECT_SECONDS)
        super().schedule_task(task, delay)

    def _works(self, connection: Any) -> bool:
        """Whether it is open still; asked of the server only after a rest."""
        last_used_at = getattr(connection, "last_used_at", None)
        if last_used_at and time.monotonic() - last_used_at <= RESTED_AFTER_SECONDS:
            return True
        try:
            self.check_connection(connection)
        except psycopg.OperationalError:
            return False
        return True
