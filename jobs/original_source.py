"""A database of the original product, on either engine, as it can be read here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import models
from psycopg.types.string import TextLoader

from homepot.database import SQLITE_ENGINE
from homepot.transfer.databases import options_of
from homepot.transfer.values import is_unstorable_json


@contextmanager
def original(url: str) -> Iterator[Any]:
    """A connection that only reads, and all of one moment.

    Raises ImproperlyConfigured, or an error of the driver.
    """
    options = options_of(url)
    if options["ENGINE"] == SQLITE_ENGINE:
        with closing(sqlite3.connect(f"file:{options['NAME']}?mode=ro", uri=True)) as file:
            file.execute("BEGIN")
            yield file
        return
    with psycopg.connect(
        dbname=options["NAME"],
        user=options["USER"] or None,
        password=options["PASSWORD"] or None,
        host=options["HOST"] or None,
        port=options["PORT"] or None,
        options="-c default_transaction_read_only=on",
    ) as server:
        server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for kind in ("json", "jsonb"):  # as SQLite has it
            server.adapters.register_loader(kind, TextLoader)
        yield server


def has_table(source: Any, table: str) -> bool:
    if isinstance(source, sqlite3.Connection):
        sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    else:
        sql = "SELECT 1 WHERE to_regclass(%s) IS NOT NULL"
    return bool(source.execute(sql, [table]).fetchall())


@contextmanager
def rows_of(source: Any, table: str) -> Iterator[Any]:
    """A cursor over all rows of `table`, which does not fetch them at once."""
    is_file = isinstance(source, sqlite3.Connection)
    with closing(source.cursor() if is_file else source.cursor("original")) as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608
        yield cursor


def value_for(field: models.Field | None, value: Any) -> Any:
    """`value` as our column has it: times are aware, and UTC where nothing else is said.

    Raises ValueError when our column cannot have it.
    """
    if isinstance(value, str) and "\0" in value:
        raise ValueError("There is a NUL character.")
    if value is None or field is None:
        return value
    if isinstance(field, models.JSONField):
        if is_unstorable_json(str(value).encode()):
            raise ValueError("It is no JSON that can be stored.")
        return json.loads(value)
    if isinstance(field, models.DateTimeField):
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(field, models.BooleanField):
        return bool(value)
    return value
