"""Many rows in one statement, whatever their number, on both engines.

The rows travel as one JSON parameter. Django's bulk methods send a parameter for each value,
and on SQLite a statement for every few hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from django.db import connection, models
from django.db.models.expressions import RawSQL

from homepot.statements import fetch_rows


def insert_rows(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[int]:
    """Insert `rows` of `columns` (names of model fields) and return their ids, in order.

    `rows` must not be empty.
    """
    fields = _fields(model, tuple(columns))
    sql = _insert(connection.vendor, model, fields)
    # Ids are given in the order of insertion, but need not be answered in it.
    return sorted(pk for (pk,) in fetch_rows(sql, [_as_json(fields, rows)]))


def update_rows(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Update `columns` of the rows whose id comes first in each of `rows`."""
    fields = _fields(model, ("pk", *columns))
    fetch_rows(_update(connection.vendor, model, fields), [_as_json(fields, rows)])


def find_stored(
    model: type[models.Model], columns: Sequence[str], keys: Sequence[Sequence[Any]]
) -> list[int]:
    """Which of `keys`, values of `columns`, some row has: their places in `keys`.

    Asks for each pair, where two IN lists would find every device with every time.
    """
    fields = _fields(model, tuple(columns))
    first = 1 if connection.vendor == "postgresql" else 0
    found = fetch_rows(_find(connection.vendor, model, fields), [_as_json(fields, keys)])
    return [position - first for (position,) in found]


def any_of(values: Sequence[int] | Sequence[str]) -> RawSQL:
    """For `filter(pk__in=any_of(pks))`: as many values as there may be, in one parameter."""
    if connection.vendor == "postgresql":
        kind = "text" if values and isinstance(values[0], str) else "bigint"
        sql = f"SELECT value::{kind} FROM jsonb_array_elements_text(%s::jsonb) AS value"  # noqa: S608
    else:
        sql = "SELECT value FROM json_each(%s)"
    return RawSQL(sql, [orjson.dumps(values).decode()])  # noqa: S611


@cache
def _fields(model: type[models.Model], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(model._meta.pk if name == "pk" else model._meta.get_field(name) for name in names)


# The SQL of each is made once. Names of our own models and columns are all that is formatted
# into it.


@cache
def _insert(vendor: str, model: type[models.Model], fields: tuple[Any, ...]) -> str:
    targets = ", ".join(_quoted(field.column) for field in fields)
    values = ", ".join(_value(field, index) for index, field in enumerate(fields))
    return (
        f"INSERT INTO {_quoted(model._meta.db_table)} ({targets}) "  # noqa: S608
        f"SELECT {values} FROM {_source()} ORDER BY {_position()} RETURNING id"
    )


@cache
def _update(vendor: str, model: type[models.Model], fields: tuple[Any, ...]) -> str:
    assignments = ", ".join(
        f"{_quoted(field.column)} = new.{_quoted(field.column)}" for field in fields[1:]
    )
    table = _quoted(model._meta.db_table)
    aliased = ", ".join(
        f"{_value(field, index)} AS {_quoted(field.column)}" for index, field in enumerate(fields)
    )
    return (
        f"UPDATE {table} SET {assignments} "  # noqa: S608
        f"FROM (SELECT {aliased} FROM {_source()}) AS new "
        f"WHERE {table}.id = new.id"
    )


@cache
def _find(vendor: str, model: type[models.Model], fields: tuple[Any, ...]) -> str:
    table = _quoted(model._meta.db_table)
    is_same = " AND ".join(
        f"{table}.{_quoted(field.column)} = {_value(field, index)}"
        for index, field in enumerate(fields)
    )
    return (
        f"SELECT {_position()} FROM {_source()} "  # noqa: S608
        f"WHERE EXISTS (SELECT 1 FROM {table} WHERE {is_same})"
    )


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _source() -> str:
    if connection.vendor == "postgresql":
        return "jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS source(record, position)"
    return "json_each(%s) AS source"


def _position() -> str:
    return "source.position" if connection.vendor == "postgresql" else "source.key"


def _value(field: Any, index: int) -> str:
    if connection.vendor != "postgresql":
        return f"json_extract(source.value, '$[{index}]')"
    if isinstance(field, models.JSONField):
        return f"NULLIF(source.record->{index}, 'null')"
    db_type = (field.target_field if field.is_relation else field).rel_db_type(connection)
    return f"(source.record->>{index})::{db_type}"


def _as_json(fields: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    """`rows` as PostgreSQL casts their values, or as SQLite stores them."""
    if connection.vendor != "postgresql":
        rows = [
            [_stored(field, value) for field, value in zip(fields, row, strict=True)]
            for row in rows
        ]
    return orjson.dumps(rows, default=_key).decode()


def _stored(field: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(field, models.JSONField):
        return orjson.dumps(value).decode()
    if isinstance(value, datetime):
        return str(connection.ops.adapt_datetimefield_value(value))
    return value


def _key(value: Any) -> Any:
    """What stands for an object of another table."""
    if isinstance(value, models.Model):
        return value.pk
    raise TypeError(f"{type(value).__name__} has no form in a column")
