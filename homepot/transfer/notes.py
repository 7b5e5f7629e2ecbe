"""How far an unfinished copy has come, noted in its target with every batch it commits.

The table is there from the first row that is copied to the last proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from homepot.transfer.indexes import Postponed
from homepot.transfer.tables import Table

NOTES_TABLE = "homepot_unfinished_copy"
# Names that no table has.
_BEGINNING, _POSTPONED = "(beginning)", "(postponed)"


@dataclass(frozen=True)
class Beginning:
    """Of what a copy was begun. `is_resumable`: nothing could write to the source."""

    source: str
    is_resumable: bool


@dataclass(frozen=True)
class Progress:
    """How much of a table is there: the rows up to `last_key`, which is None for all or none."""

    is_done: bool = False
    last_key: int | None = None


def read_beginning(connection: Any) -> Beginning | None:
    """None: no copy into this database is unfinished."""
    with connection.cursor() as cursor:
        if NOTES_TABLE not in connection.introspection.table_names(cursor):
            return None
    note = _read(connection, _BEGINNING)
    return Beginning(**note) if note else None


def begin(connection: Any, beginning: Beginning, postponed: Sequence[Postponed]) -> None:
    """Begin anew, within the transaction that empties the database and drops `postponed`."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {NOTES_TABLE}")
        cursor.execute(
            f"CREATE TABLE {NOTES_TABLE} (name varchar(200) PRIMARY KEY, note text NOT NULL)"
        )
    _write(connection, _BEGINNING, asdict(beginning))
    _write(connection, _POSTPONED, [asdict(each) for each in postponed])


def read_postponed(connection: Any) -> list[Postponed]:
    """What has to be made before the copy is whole."""
    return [Postponed(**each) for each in _read(connection, _POSTPONED)]


def read_progress(connection: Any, table: Table) -> Progress:
    return Progress(**(_read(connection, table.name) or {}))


def note_progress(connection: Any, table: Table, progress: Progress) -> None:
    """Within the transaction that stores what it is about."""
    _write(connection, table.name, asdict(progress))


def end(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {NOTES_TABLE}")


def _read(connection: Any, name: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT note FROM {NOTES_TABLE} WHERE name = %s", [name])  # noqa: S608
        row = cursor.fetchone()
    return orjson.loads(row[0]) if row else None


def _write(connection: Any, name: str, note: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {NOTES_TABLE} (name, note) VALUES (%s, %s) "  # noqa: S608
            "ON CONFLICT (name) DO UPDATE SET note = excluded.note",
            [name, orjson.dumps(note).decode()],
        )
