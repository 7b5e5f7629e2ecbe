"""Rows as lines of PostgreSQL's COPY, the form in which they are read from both engines.

A line has a field for each column in the order of `Table.columns`, and no newline at its end.
NULL is \\N, a boolean 0 or 1, a time is in UTC and without the zeros at its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from homepot.transfer.tables import Kind, Table

NULL = b"\\N"
# Enough to make what is done for each batch small beside what is done for each line.
LINES_PER_BATCH = 1000

# Besides the backslash itself.
_ESCAPES = (
    (b"\b", rb"\b"),
    (b"\f", rb"\f"),
    (b"\n", rb"\n"),
    (b"\r", rb"\r"),
    (b"\t", rb"\t"),
    (b"\v", rb"\v"),
)
_has_control = re.compile(rb"[\b\f\n\r\v]").search


def unescaped(field: bytes) -> bytes:
    """The text that stands in a field of a line."""
    if b"\\" not in field:
        return field
    parts = field.split(rb"\\")
    for character, escape in _ESCAPES:
        parts = [part.replace(escape, character) for part in parts]
    return b"\\".join(parts)


def read_lines(
    connection: Any, table: Table, *, after: int | None = None, through: int | None = None
) -> Iterator[list[bytes]]:
    """The lines of `table` in batches, in no order.

    With `after` or `through`, only those whose key is greater than the one and not greater
    than the other, in the order of the key, which must be an integer.
    """
    quote = connection.ops.quote_name
    key = quote(table.key)
    conditions = [
        f"{key} {operator} {limit:d}"
        for operator, limit in ((">", after), ("<=", through))
        if limit is not None
    ]
    tail = f"WHERE {' AND '.join(conditions)} ORDER BY {key}" if conditions else ""
    read = _read_from_sqlite if connection.vendor == "sqlite" else _read_from_postgresql
    with connection.wrap_database_errors:
        yield from read(connection, table, tail)


def _select(expressions: list[str], table: Table, quote: Callable[[str], str], tail: str) -> str:
    # Names of our own models and columns are all that is put together.
    return f"SELECT {', '.join(expressions)} FROM {quote(table.name)} {tail}"  # noqa: S608


# SQLite


def _read_from_sqlite(connection: Any, table: Table, tail: str) -> Iterator[list[bytes]]:
    quote = connection.ops.quote_name
    plain = [column for column in table.columns if column.kind.value < Kind.TEXT.value]
    others = table.columns[len(plain) :]
    expressions = [_sqlite_expression(column.kind, quote(column.name)) for column in others]
    # What SQLite can write by itself comes as one text, which is fastest.
    first_text = 0
    if plain:
        form = "\t".join(["%s"] * len(plain))
        values = [_sqlite_expression(column.kind, quote(column.name)) for column in plain]
        expressions.insert(0, f"printf('{form}', {', '.join(values)})")
        first_text = 1
    floats = [n for n, column in enumerate(others, first_text) if column.kind is Kind.FLOAT]
    tabs = len(table.columns) - 1
    raw = connection.connection
    text_factory, raw.text_factory = raw.text_factory, bytes
    cursor = raw.cursor()
    try:
        cursor.execute(_select(expressions, table, quote, tail))
        while rows := cursor.fetchmany(LINES_PER_BATCH):
            if floats:
                rows = [_with_floats_written(row, floats) for row in rows]
            lines = [b"\t".join(row) for row in rows]
            # Almost never is there anything to escape besides backslashes.
            text = b"".join(lines)
            if text.count(b"\t") != tabs * len(rows) or _has_control(text):
                lines = [
                    line
                    if line.count(b"\t") == tabs and not _has_control(line)
                    else b"\t".join([*row[:first_text], *map(_escaped, row[first_text:])])
                    for line, row in zip(lines, rows, strict=True)
                ]
            yield lines
    finally:
        cursor.close()
        raw.text_factory = text_factory


def _sqlite_expression(kind: Kind, column: str) -> str:
    match kind:
        case Kind.FLOAT:
            return column  # SQLite would write 15 digits of it, Python writes all
        case Kind.TIME:
            value = (
                f"CASE WHEN substr({column}, 20, 1) = '.' AND length({column}) <= 26 "
                f"THEN rtrim(rtrim({column}, '0'), '.') ELSE {column} END"
            )
        case Kind.TEXT | Kind.ADDRESS | Kind.JSON:
            value = f"replace({column}, '\\', '\\\\')"
        case _:
            value = column
    return f"coalesce({value}, '\\N')"


def _with_floats_written(row: tuple[Any, ...], floats: list[int]) -> list[bytes]:
    fields = list(row)
    for index in floats:
        value = fields[index]
        if not isinstance(value, bytes):  # SQLite keeps whatever it is given
            fields[index] = NULL if value is None else repr(value).encode()
    return fields


def _escaped(field: bytes) -> bytes:
    """`field`, whose backslashes are escaped already, with the rest escaped too."""
    for character, escape in _ESCAPES:
        if character in field:
            field = field.replace(character, escape)
    return field


# PostgreSQL


def _read_from_postgresql(connection: Any, table: Table, tail: str) -> Iterator[list[bytes]]:
    quote = connection.ops.quote_name
    expressions = [_postgresql_expression(c.kind, quote(c.name)) for c in table.columns]
    sql = f"COPY ({_select(expressions, table, quote, tail)}) TO STDOUT"
    lines: list[bytes] = []
    with connection.connection.cursor() as cursor, cursor.copy(sql) as copy:
        for line in copy:
            lines.append(bytes(line[:-1]))
            if len(lines) == LINES_PER_BATCH:
                yield lines
                lines = []
    if lines:
        yield lines


def _postgresql_expression(kind: Kind, column: str) -> str:
    match kind:
        case Kind.BOOLEAN:
            return f"{column}::integer"
        case Kind.TIME:
            return f"{column} AT TIME ZONE 'UTC'"
        case Kind.UUID:
            return f"replace({column}::text, '-', '')"
    return column
