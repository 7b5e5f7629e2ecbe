"""What a copy would do, found out before it does anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from homepot.transfer import notes, targets
from homepot.transfer.errors import TransferError
from homepot.transfer.notes import NOTES_TABLE, Beginning
from homepot.transfer.schemas import Schema, describe, schema_of
from homepot.transfer.tables import MIGRATIONS_TABLE, Table, tables


@dataclass(frozen=True)
class Plan:
    """`row_counts` are the source's, by table.

    `is_resumed`: goes on where a copy was broken off. Else the rows of the target's `replaced`
    tables are removed first, and it is migrated when it `must_migrate`. `left_out`: tables of
    the source that are not ours. `free_bytes` is None where it cannot be seen.
    """

    tables: list[Table]
    row_counts: dict[str, int]
    beginning: Beginning
    is_unfinished: bool
    is_resumed: bool
    must_migrate: bool
    replaced: list[Table]
    left_out: list[str]
    needed_bytes: int
    free_bytes: int | None

    @property
    def rows(self) -> int:
        return sum(self.row_counts.values())


def make_plan(source: Any, target: Any, *, resume: bool, replace: bool, is_read_only: bool) -> Plan:
    """Look at both databases, of which `source` is in a snapshot.

    `is_read_only`: nothing writes to the source. Raises TransferError when the copy cannot be
    made.
    """
    ours = tables()
    check_readable(source, ours)
    schema = schema_of(target, ours)
    targets.check_may_fill(target, ours)
    unfinished = notes.read_beginning(target)
    beginning = Beginning(describe(source), is_read_only)
    if unfinished and resume and unfinished.source != beginning.source:
        raise TransferError(
            f"The {describe(target)} holds an unfinished copy of the {unfinished.source}, not of "
            f"the {beginning.source}. Use --replace to start over."
        )
    is_resumed = bool(unfinished and resume and unfinished.is_resumable and is_read_only)
    filled = targets.filled_tables(target, ours)
    _check_may_remove(target, schema, filled, unfinished, resume=resume, replace=replace)
    needed, free = targets.needed_bytes(source, ours), targets.free_bytes(target)
    if free is not None and free < needed and not is_resumed:
        raise TransferError(
            f"The {describe(target)} has {megabytes(free)} of disk left and may need "
            f"{megabytes(needed)}."
        )
    return Plan(
        tables=ours,
        row_counts=row_counts(source, ours),
        beginning=beginning,
        is_unfinished=unfinished is not None,
        is_resumed=is_resumed,
        must_migrate=schema.missing_migrations > 0,
        replaced=[] if unfinished else filled,
        left_out=_left_out(source, ours),
        needed_bytes=needed,
        free_bytes=free,
    )


def check_readable(connection: Any, ours: list[Table]) -> None:
    """Raise TransferError unless the tables are there, up to date and may be read."""
    schema = schema_of(connection, ours)
    if not schema.has_tables:
        raise TransferError(f"The {describe(connection)} holds no tables of HOMEPOT.")
    if schema.missing_migrations:
        raise TransferError(
            f"The {describe(connection)} is not up to date (migrations to apply: "
            f"{schema.missing_migrations}). Run `python manage.py migrate` on it first."
        )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name FROM unnest(%s::text[]) AS name "
                "WHERE NOT has_table_privilege(quote_ident(name), 'SELECT')",
                [[table.name for table in ours]],
            )
            hidden = [name for (name,) in cursor.fetchall()]
        if hidden:
            raise TransferError(
                f"The {describe(connection)}: this user may not read {', '.join(hidden)}."
            )


def _check_may_remove(
    target: Any,
    schema: Schema,
    filled: list[Table],
    unfinished: Beginning | None,
    *,
    resume: bool,
    replace: bool,
) -> None:
    if replace or (unfinished and resume):
        return
    if unfinished:
        raise TransferError(
            f"The {describe(target)} holds an unfinished copy of the {unfinished.source}. Use "
            "--resume to go on with it, or --replace to start over."
        )
    if filled:
        raise TransferError(
            f"The {describe(target)} is not empty: it has rows in "
            f"{', '.join(map(str, filled))}. Use --replace to remove them first."
        )


def row_counts(connection: Any, ours: list[Table]) -> dict[str, int]:
    counts = {}
    with connection.cursor() as cursor:
        for table in ours:
            name = connection.ops.quote_name(table.name)
            cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608
            (counts[table.name],) = cursor.fetchone()
    return counts


def _left_out(connection: Any, ours: list[Table]) -> list[str]:
    known = {MIGRATIONS_TABLE, NOTES_TABLE, *(table.name for table in ours)}
    return sorted(set(connection.introspection.table_names()) - known)


def megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"
