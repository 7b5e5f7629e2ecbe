"""Rows as lines of PostgreSQL's COPY, the form in which they are read from both engines.

A line has a field for each column in the order of `Table.columns`, and no newline at its end.
NULL is \\N, a boolean 0 or 1, a time is in UTC and without the zeros at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from operator import itemgetter
from typing import Any

from homepot.transfer.tables import Column, Kind, Table

NULL = b"\\N"
# Enough to make what is done for each batch small beside what is done for each line, and little
# enough to hold in memory, be it one line.
BATCH_BYTES = 256 * 1024
# How many are taken from SQLite in one go.
ROWS_AT_ONCE = 20

_BACKSLASH, _ESCAPED_BACKSLASH = b"\\", rb"\\"
_TAB, _ESCAPED_TAB = b"\t", rb"\t"
_OTHER_ESCAPES = (
    (b"\n", rb"\n"),
    (b"\r", rb"\r"),
    (b"\b", rb"\b"),
    (b"\f", rb"\f"),
    (b"\v", rb"\v"),
)


def read_lines(
    connection: Any, table: Table, *, after: int | None = None, through: int | None = None
) -> Generator[list[bytes]]:
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
        yield from _batches(read(connection, table, tail))


def unescaped(field: bytes) -> bytes:
    """The text that stands in a field of a line."""
    if _BACKSLASH not in field:
        return field
    if field.count(_BACKSLASH) == 2 * field.count(_ESCAPED_BACKSLASH):
        return field.replace(_ESCAPED_BACKSLASH, _BACKSLASH)
    parts = field.split(_ESCAPED_BACKSLASH)
    for character, escape in ((_TAB, _ESCAPED_TAB), *_OTHER_ESCAPES):
        parts = [part.replace(escape, character) for part in parts]
    return _BACKSLASH.join(parts)


def _batches(lines: Iterable[bytes]) -> Generator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _select(expressions: list[str], table: Table, quote: Callable[[str], str], tail: str) -> str:
    # Names of our own models and columns are all that is put together.
    return f"SELECT {', '.join(expressions)} FROM {quote(table.name)} {tail}"  # noqa: S608


# SQLite


def _read_from_sqlite(connection: Any, table: Table, tail: str) -> Generator[bytes]:
    quote = connection.ops.quote_name
    plain = [column for column in table.columns if column.kind.value < Kind.TEXT.value]
    others = table.columns[len(plain) :]
    expressions = [_sqlite_expression(column, quote(column.name)) for column in others]
    if plain:
        # What has nothing to be escaped SQLite writes as one text, which is fastest.
        form = "\t".join(["%s"] * len(plain))
        values = [_sqlite_expression(column, quote(column.name)) for column in plain]
        expressions.insert(0, f"printf('{form}', {', '.join(values)})")
    first = len(expressions) - len(others)
    # Texts that cannot be NULL come as they are, and nearly always need no escaping.
    raw = slice(first, first + sum(_comes_raw(column) for column in others))
    floats = [n for n, column in enumerate(others, first) if column.kind is Kind.FLOAT]
    tabs = len(table.columns) - 1
    texts = itemgetter(raw)
    with reading_bytes(connection) as cursor:
        cursor.execute(_select(expressions, table, quote, tail))
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            if floats:
                rows = [_with_floats_written(row, floats) for row in rows]
            lines = list(map(_TAB.join, rows))
            # What has to be escaped is looked for in many rows at once, and then row by row.
            if _has_to_be_escaped(b"".join(lines), tabs * len(rows), map(texts, rows)):
                lines = [
                    _escaped(row, first, raw)
                    if _has_to_be_escaped(line, tabs, [texts(row)])
                    else line
                    for row, line in zip(rows, lines, strict=True)
                ]
            yield from lines


def _has_to_be_escaped(line: bytes, tabs: int, texts: Iterable[Sequence[bytes]]) -> bool:
    """Whether any but the `tabs` between fields is in `line`, or a backslash in any of `texts`."""
    return (
        line.count(_TAB) > tabs
        or b"\n" in line
        or b"\r" in line
        or b"\b" in line
        or b"\f" in line
        or b"\v" in line
        or _BACKSLASH in b"".join(chain.from_iterable(texts))
    )


@contextmanager
def reading_bytes(connection: Any) -> Iterator[Any]:
    """SQLite's own cursor, with texts as the bytes they are."""
    raw = connection.connection
    text_factory, raw.text_factory = raw.text_factory, bytes
    try:
        with closing(raw.cursor()) as cursor:
            yield cursor
    finally:
        raw.text_factory = text_factory


def _comes_raw(column: Column) -> bool:
    return column.kind is Kind.TEXT and not column.is_nullable


def _sqlite_expression(column: Column, name: str) -> str:
    if _comes_raw(column):
        return name
    match column.kind:
        case Kind.FLOAT:
            return name  # SQLite would write 15 digits of it, Python writes all
        case Kind.TIME:
            value = (
                f"CASE WHEN substr({name}, 20, 1) = '.' AND length({name}) <= 26 "
                f"THEN rtrim(rtrim({name}, '0'), '.') ELSE {name} END"
            )
        case Kind.TEXT | Kind.ADDRESS | Kind.JSON:
            value = f"replace({name}, '\\', '\\\\')"
        case _:
            value = name
    return f"coalesce({value}, '\\N')" if column.is_nullable else value


def _with_floats_written(row: tuple[Any, ...], floats: list[int]) -> list[bytes]:
    fields = list(row)
    for index in floats:
        value = fields[index]
        if not isinstance(value, bytes):  # SQLite keeps whatever it is given
            fields[index] = NULL if value is None else repr(value).encode()
    return fields


def _escaped(row: Sequence[bytes], first: int, raw: slice) -> bytes:
    """The line of `row`, whose backslashes are escaped already but in the columns `raw`."""
    fields = list(row)
    fields[raw] = [field.replace(_BACKSLASH, _ESCAPED_BACKSLASH) for field in fields[raw]]
    fields[first:] = [field.replace(_TAB, _ESCAPED_TAB) for field in fields[first:]]
    line = _TAB.join(fields)
    for character, escape in _OTHER_ESCAPES:
        line = line.replace(character, escape)
    return line


# PostgreSQL


def _read_from_postgresql(connection: Any, table: Table, tail: str) -> Generator[bytes]:
    quote = connection.ops.quote_name
    expressions = [_postgresql_expression(c.kind, quote(c.name)) for c in table.columns]
    sql = f"COPY ({_select(expressions, table, quote, tail)}) TO STDOUT"
    with connection.connection.cursor() as cursor, cursor.copy(sql) as copy:
        for line in copy:
            yield bytes(line[:-1])


def _postgresql_expression(kind: Kind, column: str) -> str:
    match kind:
        case Kind.BOOLEAN:
            return f"{column}::integer"
        case Kind.TIME:
            return f"{column} AT TIME ZONE 'UTC'"
        case Kind.UUID:
            return f"replace({column}::text, '-', '')"
    return column
