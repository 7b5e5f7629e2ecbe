"""Many rows in one statement, whatever their number, on both engines.

The rows travel as one JSON parameter. Django's bulk methods send a parameter for each value,
and on SQLite a statement for every few hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
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
    sql = _insert(connection.vendor, model, fields, ())
    # Ids are given in the order of insertion, but need not be answered in it.
    return sorted(pk for (pk,) in fetch_rows(sql, [_as_json(fields, rows)]))


def update_rows(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Update `columns` of the rows whose id comes first in each of `rows`."""
    fields = _fields(model, ("pk", *columns))
    fetch_rows(_update(connection.vendor, model, fields), [_as_json(fields, rows)])


def insert_new_rows(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    key: Sequence[str],
) -> list[int | None]:
    """`insert_rows`, leaving out what is stored already: their ids are None.

    The columns of `key` tell one row from another by a unique constraint, unless one is null;
    of `rows` that are the same the first is stored.
    """
    places = [columns.index(name) for name in key]
    if all(any(row[place] is None for place in places) for row in rows):
        # None of them can be there: looking for them takes a sixth of the time.
        return [*insert_rows(model, columns, rows)]
    fields, key_fields = _fields(model, tuple(columns)), _fields(model, tuple(key))
    sql = _insert(connection.vendor, model, fields, key_fields)
    made = sorted(fetch_rows(sql, [_as_json(fields, rows)]))
    if len(made) == len(rows):
        return [pk for pk, *_ in made]
    # They were given their ids in the order of `rows`: whatever is not next was left out.
    ids: list[int | None] = []
    left = iter(made)
    following = next(left, None)
    for row in rows:
        values = tuple(_returned(row[place]) for place in places)
        if following is not None and following[1:] == values:
            ids.append(following[0])
            following = next(left, None)
        else:
            ids.append(None)
    return ids


def any_of(values: Sequence[int] | Sequence[str]) -> RawSQL:
    """For `filter(pk__in=any_of(pks))`: as many values as there may be, in one parameter."""
    kind = "text" if values and isinstance(values[0], str) else "bigint"
    return any_in(orjson.dumps(values).decode(), kind)


def any_in(values: Any, kind: str) -> RawSQL:
    """`any_of` the values of a JSON text, or of a placeholder for one; `kind` is their type."""
    if connection.vendor == "postgresql":
        sql = f"SELECT value::{kind} FROM jsonb_array_elements_text(%s::jsonb) AS value"  # noqa: S608
    else:
        sql = "SELECT value FROM json_each(%s)"
    return RawSQL(sql, [values])  # noqa: S611


@cache
def _fields(model: type[models.Model], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(model._meta.pk if name == "pk" else model._meta.get_field(name) for name in names)


# The SQL of each is made once. Names of our own models and columns are all that is formatted
# into it.


@cache
def _insert(
    vendor: str, model: type[models.Model], fields: tuple[Any, ...], key: tuple[Any, ...]
) -> str:
    """With a `key`, rows that a unique constraint refuses are left out."""
    targets = ", ".join(_quoted(field.column) for field in fields)
    values = ", ".join(_value(field, index) for index, field in enumerate(fields))
    returned = ", ".join(["id", *(_quoted(field.column) for field in key)])
    return (
        f"INSERT INTO {_quoted(model._meta.db_table)} ({targets}) "  # noqa: S608
        # Without WHERE, SQLite takes ON CONFLICT for a join.
        f"SELECT {values} FROM {_source()} WHERE true ORDER BY {_position()} "
        f"{'ON CONFLICT DO NOTHING ' if key else ''}RETURNING {returned}"
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


def _returned(value: Any) -> Any:
    """`value` as a statement gives it back."""
    if isinstance(value, datetime) and connection.vendor != "postgresql":
        return value.astimezone(UTC).replace(tzinfo=None)
    return _key(value) if isinstance(value, models.Model) else value


def _key(value: Any) -> Any:
    """What stands for an object of another table."""
    if isinstance(value, models.Model):
        return value.pk
    raise TypeError(f"{type(value).__name__} has no form in a column")
