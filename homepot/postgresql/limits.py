"""How long the statements of one session may wait and run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def limited(connection: Any, **settings: str) -> Iterator[None]:
    """A block in which `settings` of the session, such as lock_timeout, are other than usual.

    Values are PostgreSQL's, such as "2s"; "0" is no limit. Does nothing on SQLite.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        before = {}
        for name, value in settings.items():
            cursor.execute(
                "SELECT current_setting(%s), set_config(%s, %s, false)", [name, name, value]
            )
            before[name] = cursor.fetchone()[0]
    yield
    # Not after an error: the session may be gone, and with it what was set.
    with connection.cursor() as cursor:
        for name, value in before.items():
            cursor.execute("SELECT set_config(%s, %s, false)", [name, value])
