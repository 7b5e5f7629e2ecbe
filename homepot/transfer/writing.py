"""Lines into a table of either engine, within the transaction of the caller."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from homepot.transfer.lines import NULL, unescaped
from homepot.transfer.tables import Column, Kind, Table

Write = Callable[[Sequence[bytes]], None]

_NULL_TEXT = NULL.decode()
# A backslash that begins anything but a NULL.
_has_escape = re.compile(rb"\\[^N]").search


@contextmanager
def writing(connection: Any, table: Table) -> Iterator[Write]:
    """A function that stores lines of `read_lines`; all of them are stored when the block ends."""
    open_table = _into_sqlite if connection.vendor == "sqlite" else _into_postgresql
    with connection.wrap_database_errors, open_table(connection, table) as write:
        yield write


def prepare_for_writing(connection: Any) -> None:
    """Make this session good at taking in whole tables. It has to be outside of a transaction.

    A crash of the machine may cost the last transactions, but never half of one.
    """
    with connection.cursor() as cursor:
        for statement in _PREPARATIONS[connection.vendor]:
            cursor.execute(statement)


_PREPARATIONS = {
    "postgresql": (
        "SET statement_timeout = 0",
        "SET idle_in_transaction_session_timeout = 0",
        "SET synchronous_commit = off",
        "SET DateStyle = 'ISO'",
    ),
    "sqlite": (
        # The source's references have been checked, and are checked again at the end.
        "PRAGMA foreign_keys = OFF",
        "PRAGMA synchronous = NORMAL",
        "PRAGMA cache_size = -8192",
        "PRAGMA wal_autocheckpoint = 8192",
    ),
}


# PostgreSQL


@contextmanager
def _into_postgresql(connection: Any, table: Table) -> Iterator[Write]:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(column.name) for column in table.columns)
    sql = f"COPY {quote(table.name)} ({columns}) FROM STDIN"
    with connection.connection.cursor() as cursor, cursor.copy(sql) as copy:

        def write(lines: Sequence[bytes]) -> None:
            copy.write(b"\n".join(lines) + b"\n")

        yield write


# SQLite


@contextmanager
def _into_sqlite(connection: Any, table: Table) -> Iterator[Write]:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(column.name) for column in table.columns)
    values = ", ".join(_sqlite_value(c, f"?{n}") for n, c in enumerate(table.columns, 1))
    sql = f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({values})"  # noqa: S608
    floats = [n for n, column in enumerate(table.columns) if column.kind is Kind.FLOAT]
    cursor = connection.connection.cursor()

    def values_of(line: bytes) -> list[Any]:
        fields: list[Any]  # text, floats and None
        if _has_escape(line):
            fields = [
                None if field == NULL else unescaped(field).decode() for field in line.split(b"\t")
            ]
        else:
            fields = [None if field == _NULL_TEXT else field for field in line.decode().split("\t")]
        for index in floats:
            if fields[index] is not None:
                fields[index] = float(fields[index])
        return fields

    def write(lines: Sequence[bytes]) -> None:
        cursor.executemany(sql, map(values_of, lines))

    try:
        yield write
    finally:
        cursor.close()


def _sqlite_value(column: Column, parameter: str) -> str:
    if column.kind is not Kind.TIME:
        return parameter
    # Times are compared as text there, so all fractions have the length that Django gives them.
    return (
        f"CASE WHEN substr({parameter}, 20, 1) = '.' "
        f"THEN substr({parameter} || '000000', 1, 26) ELSE {parameter} END"
    )
