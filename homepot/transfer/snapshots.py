"""One unchanging view of a database, for as long as reading it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.pq import TransactionStatus

# What a web request may not do, and reading a whole table has to: take its time.
_POSTGRESQL_SETTINGS = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL DateStyle = 'ISO'",
    "SET LOCAL extra_float_digits = 1",
)


@contextmanager
def snapshot(connection: Any) -> Iterator[None]:
    """Everything read in this block is as it was at one moment; nothing can be written.

    Inside a transaction that has begun before, it is as that transaction sees it.
    """
    connection.ensure_connection()
    if _is_in_transaction(connection):
        yield
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Django's own would be IMMEDIATE and keep every writer out.
            cursor.execute("BEGIN DEFERRED")
        else:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            if connection.vendor == "sqlite":
                # The view begins with the first read.
                cursor.execute("SELECT count(*) FROM sqlite_master")
            else:
                for statement in _POSTGRESQL_SETTINGS:
                    cursor.execute(statement)
            yield
        finally:
            cursor.execute("ROLLBACK")


def _is_in_transaction(connection: Any) -> bool:
    if connection.vendor == "sqlite":
        return bool(connection.connection.in_transaction)
    return bool(connection.connection.info.transaction_status != TransactionStatus.IDLE)
