"""Many rows in one statement, whatever their number, on both engines.

The rows travel as one JSON parameter. Django's bulk methods send a parameter for each value,
and on SQLite a statement for every few hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, models
from django.db.models.expressions import RawSQL


def insert_rows(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[int]:
    """Insert `rows` of `columns` (names of model fields) and return their ids, in order.

    `rows` must not be empty.
    """
    fields: list[Any] = [model._meta.get_field(name) for name in columns]
    targets = ", ".join(_quoted(field.column) for field in fields)
    # Names of our own models and columns are all that is formatted into it.
    sql = (
        f"INSERT INTO {_quoted(model._meta.db_table)} ({targets}) "  # noqa: S608
        f"SELECT {_selected(fields)} FROM {_source()} ORDER BY {_position()} RETURNING id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [_as_json(fields, rows)])
        # Ids are given in the order of insertion, but need not be answered in it.
        return sorted(pk for (pk,) in cursor.fetchall())


def update_rows(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Update `columns` of the rows whose id comes first in each of `rows`."""
    fields: list[Any] = [model._meta.pk, *(model._meta.get_field(name) for name in columns)]
    assignments = ", ".join(
        f"{_quoted(field.column)} = new.{_quoted(field.column)}" for field in fields[1:]
    )
    table = _quoted(model._meta.db_table)
    aliased = ", ".join(f"{_value(field)} AS {_quoted(field.column)}" for field in fields)
    sql = (
        f"UPDATE {table} SET {assignments} "  # noqa: S608
        f"FROM (SELECT {aliased} FROM {_source()}) AS new "
        f"WHERE {table}.id = new.id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [_as_json(fields, rows)])


def find_stored(
    model: type[models.Model], columns: Sequence[str], keys: Sequence[Sequence[Any]]
) -> list[int]:
    """Which of `keys`, values of `columns`, some row has: their places in `keys`.

    Asks for each pair, where two IN lists would find every device with every time.
    """
    fields: list[Any] = [model._meta.get_field(name) for name in columns]
    table = _quoted(model._meta.db_table)
    is_same = " AND ".join(f"{table}.{_quoted(field.column)} = {_value(field)}" for field in fields)
    sql = (
        f"SELECT {_position()} FROM {_source()} "  # noqa: S608
        f"WHERE EXISTS (SELECT 1 FROM {table} WHERE {is_same})"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [_as_json(fields, keys)])
        first = 1 if connection.vendor == "postgresql" else 0
        return [position - first for (position,) in cursor.fetchall()]


def any_of(values: Sequence[int] | Sequence[str]) -> RawSQL:
    """For `filter(pk__in=any_of(pks))`: as many values as there may be, in one parameter."""
    if connection.vendor == "postgresql":
        kind = "text" if values and isinstance(values[0], str) else "bigint"
        sql = f"SELECT value::{kind} FROM jsonb_array_elements_text(%s::jsonb) AS value"  # noqa: S608
    else:
        sql = "SELECT value FROM json_each(%s)"
    return RawSQL(sql, [orjson.dumps(values).decode()])  # noqa: S611


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _selected(fields: Sequence[Any]) -> str:
    return ", ".join(_value(field) for field in fields)


def _source() -> str:
    if connection.vendor == "postgresql":
        return "jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS source(record, position)"
    return "json_each(%s) AS source"


def _position() -> str:
    return "source.position" if connection.vendor == "postgresql" else "source.key"


def _value(field: Any) -> str:
    if connection.vendor == "postgresql":
        db_type = (field.target_field if field.is_relation else field).rel_db_type(connection)
        return f"(source.record->>'{field.column}')::{db_type}"
    return f"json_extract(source.value, '$.{field.column}')"


def _as_json(fields: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    columns = [field.column for field in fields]
    records = [
        {
            column: _plain(field, value)
            for column, field, value in zip(columns, fields, row, strict=True)
        }
        for row in rows
    ]
    return orjson.dumps(records).decode()


def _plain(field: Any, value: Any) -> Any:
    """`value` as the text or number that the column's type is cast from."""
    if value is None:
        return None
    if isinstance(field, models.JSONField):
        return orjson.dumps(value).decode()
    if isinstance(value, datetime):
        return str(connection.ops.adapt_datetimefield_value(value))
    if isinstance(value, models.Model):
        return value.pk
    return value
