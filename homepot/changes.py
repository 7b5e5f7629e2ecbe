"""Changing one row: only the named columns, and what exactly changed for the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, models
from django.utils import timezone

from homepot.errors import IdentifierTakenError, violated_columns

Changes = dict[str, tuple[Any, Any]]


def update_row(row: models.Model, fields: Mapping[str, Any]) -> Changes:
    """Write those of `fields` that differ from `row`, and only them, to its table.

    `row` should have been read in this transaction, under a lock. Returns the value before
    and after by field; empty when nothing differed, and then nothing was written.
    """
    changes = {
        name: (getattr(row, name), value)
        for name, value in fields.items()
        if getattr(row, name) != value
    }
    if changes:
        columns = {name: new for name, (_, new) in changes.items()}
        if hasattr(row, "updated_at"):
            columns["updated_at"] = timezone.now()
        type(row)._default_manager.filter(pk=row.pk).update(**columns)
        for name, value in columns.items():
            setattr(row, name, value)
    return changes


def insert_row(row: models.Model) -> None:
    """Write `row`, which is new, as `save` does, in a third of the time and without signals."""
    model = type(row)
    database = connections[DEFAULT_DB_ALIAS]  # each look at `connection` finds it anew
    values = [
        column.get_db_prep_save(column.pre_save(row, True), database) for column in _columns(model)
    ]
    with database.cursor() as cursor:
        cursor.execute(_insertion(model), values)
        (row.pk,) = cursor.fetchone()
    row._state.adding = False
    row._state.db = database.alias


@cache
def _columns(model: type[models.Model]) -> list[Any]:
    return [field for field in model._meta.concrete_fields if not field.primary_key]


@cache
def _insertion(model: type[models.Model]) -> str:
    quoted: Any = connection.ops.quote_name
    columns = ", ".join(quoted(field.column) for field in _columns(model))
    places = ", ".join(["%s"] * len(_columns(model)))
    table, key = quoted(model._meta.db_table), quoted(model._meta.pk.column)
    return f"INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING {key}"  # noqa: S608


@contextmanager
def refuse_duplicates(**messages: str) -> Iterator[None]:
    """Turn a taken unique value, written in this block, into an IdentifierTakenError.

    `messages` holds what to say by column. What was begun ends with the error: a service is one
    transaction. Never catch it inside of one: on PostgreSQL that can only end.
    """
    try:
        yield
    except IntegrityError as error:
        columns = violated_columns(error)
        for column, message in messages.items():
            if column in columns:
                raise IdentifierTakenError(message, errors={column: [message]}) from error
        raise
