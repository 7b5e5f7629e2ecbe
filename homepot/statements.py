"""One statement and its rows by the shortest way there is: for what is asked most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import connections

# Then they go through Django's cursors, which write them down.
IS_LOGGED = settings.DEBUG or settings.ECHO_SQL


def fetch_rows(
    sql: str, parameters: Sequence[Any], places: tuple[int, ...] | None = None
) -> list[tuple[Any, ...]]:
    """All rows of `sql`, none of one that gives none; raises what Django's cursors raise.

    `places` tells which of `parameters` stands where; without it each stands once, in order.
    In a block that has begun a transaction it is part of that.
    """
    database: Any = connections["default"]
    pool = getattr(database, "pool", None)
    if (
        pool is None
        or pool.closed  # Django opens it, and says what is wrong if it cannot
        or database.force_debug_cursor
        or IS_LOGGED
    ):
        with database.cursor() as cursor:
            cursor.execute(sql, parameters if places is None else [parameters[i] for i in places])
            return [] if cursor.description is None else list(cursor.fetchall())
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        if database.connection is not None:
            return database.connection.quick.fetch_rows(sql, parameters, places)
        taken = pool.getconn()
        try:
            if not taken.autocommit:  # a request ended in the middle of a transaction
                taken.autocommit = True
            return taken.quick.fetch_rows(sql, parameters, places)
        finally:
            pool.putconn(taken)
