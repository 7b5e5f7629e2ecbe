"""Indexes and foreign keys of large tables, made when the rows are there: it is much faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any

from homepot.transfer.databases import connected
from homepot.transfer.progress import ProgressBar
from homepot.transfer.tables import Table
from homepot.transfer.targets import INDEXING_LOCK
from homepot.transfer.writing import prepare_for_writing

# Below, nobody would notice.
POSTPONED_FROM_ROWS = 10_000
# What PostgreSQL may use to sort an index.
_SORT_MEMORY = "128MB"

_FIND = {
    "postgresql": """
        SELECT relname, 'DROP INDEX ' || quote_ident(relname), pg_get_indexdef(indexrelid)
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = to_regclass(%(table)s) AND NOT EXISTS (
            SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')
        )
        UNION ALL
        SELECT conname,
            format('ALTER TABLE %%s DROP CONSTRAINT %%I', %(table)s::text, conname),
            format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', %(table)s::text, conname,
                pg_get_constraintdef(oid))
        FROM pg_constraint WHERE conrelid = to_regclass(%(table)s) AND contype = 'f'
    """,
    "sqlite": """
        SELECT name, 'DROP INDEX "' || name || '"', sql FROM sqlite_master
        WHERE type = 'index' AND tbl_name = trim(%(table)s, '"') AND sql IS NOT NULL
    """,
}
_EXISTS = {
    "postgresql": """
        SELECT FROM pg_class
        WHERE relname = %(name)s AND relnamespace = current_schema()::regnamespace
        UNION ALL
        SELECT FROM pg_constraint
        WHERE conname = %(name)s AND connamespace = current_schema()::regnamespace
    """,
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = %(name)s",
}


@dataclass(frozen=True)
class Postponed:
    """An index or foreign key, by the statement that makes it."""

    name: str
    statement: str


def postpone(connection: Any, tables: Sequence[Table]) -> list[Postponed]:
    """Drop all indexes and foreign keys of `tables` that can be made again later.

    What is a constraint of uniqueness, such as the primary key, stays.
    """
    with connection.cursor() as cursor:
        found = []
        for table in tables:
            cursor.execute(
                _FIND[connection.vendor], {"table": connection.ops.quote_name(table.name)}
            )
            found += cursor.fetchall()
        for _, drop, _ in found:
            cursor.execute(drop)
    return [Postponed(name, statement) for name, _, statement in found]


def make_postponed(connection: Any, postponed: Sequence[Postponed]) -> Iterator[Postponed]:
    """Make those that are not there, each before it is yielded."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SET maintenance_work_mem = '{_SORT_MEMORY}'")
        for each in postponed:
            cursor.execute(_EXISTS[connection.vendor], {"name": each.name})
            if not cursor.fetchall():
                cursor.execute(each.statement)
            yield each


@contextmanager
def making(
    connection: Any, postponed: Sequence[Postponed], progress: ProgressBar
) -> Iterator[None]:
    """Make `postponed` before this block on SQLite, and during it on PostgreSQL.

    A session of its own does that there, while rows are read for their digests on ours.
    """
    if connection.vendor == "sqlite":
        for each in make_postponed(connection, postponed):
            progress.add(1, each.name)
        progress.finish()
        yield
        return
    is_given_up = Event()

    def make() -> None:
        with connected(connection.settings_dict) as own:
            prepare_for_writing(own)
            with own.cursor() as cursor:
                # Known to who looks at the database after we were killed.
                cursor.execute("SELECT pg_advisory_lock(%s)", [INDEXING_LOCK])
            for each in make_postponed(own, postponed):
                progress.add(1, each.name, is_shown=False)
                if is_given_up.is_set():
                    return

    with ThreadPoolExecutor(1) as executor:
        made = executor.submit(make)
        try:
            yield
        except BaseException:
            is_given_up.set()
            raise
        made.result()
    progress.finish(seconds=progress.seconds)
