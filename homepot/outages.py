"""A database that is away: told once by each process, however many of its threads notice."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)


class Outages:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_away = False
        # When that last changed.
        self._since = -math.inf

    @contextmanager
    def tolerate(self) -> Iterator[None]:
        """Swallow what this block raises because the database does not answer, and log it once.

        The block talks to the database: its success shows that it answers.
        """
        started_at = time.monotonic()
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            if not self.explains(error, started_at):
                raise
        else:
            if self._changes(started_at, is_away=False):
                logger.info("The database answers again")

    def explains(self, error: Exception, started_at: float | None = None) -> bool:
        """Whether `error`, of what started then or just now, came of an outage; logs its begin."""
        if _database_answers():
            return False
        if self._changes(started_at or time.monotonic(), is_away=True):
            logger.error("The database does not answer; trying again until it does: %s", error)
        return True

    def _changes(self, started_at: float, *, is_away: bool) -> bool:
        with self._lock:
            # What started before the last change may end as things were then.
            if is_away == self._is_away or started_at < self._since:
                return False
            self._is_away = is_away
            self._since = time.monotonic()
            return True


def _database_answers() -> bool:
    """Whether the error was about a statement, such as a lock that was waited for too long."""
    return connection.connection is not None and connection.is_usable()


database_outages = Outages()
