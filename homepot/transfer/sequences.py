"""The counters that ids come from."""

from __future__ import annotations

from typing import Any

from homepot.transfer.tables import Table


def highest_given(connection: Any, table: Table) -> int:
    """The highest id that `table` ever gave a row, 0 before the first.

    Rows with it may be gone; what refers to them must not meet new ones.
    """
    quote = connection.ops.quote_name
    name, key = quote(table.name), quote(table.key)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT coalesce(max({key}), 0) FROM {name}")  # noqa: S608
        (highest,) = cursor.fetchone()
        if connection.vendor == "sqlite":
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table.name])
        else:
            cursor.execute(
                "SELECT pg_sequence_last_value(pg_get_serial_sequence(%s, %s)::regclass)",
                [name, table.key],
            )
        row = cursor.fetchone()
    return max(int(highest), int((row and row[0]) or 0))


def set_highest_given(connection: Any, table: Table, highest: int) -> None:
    """Let the next id of `table` be the one after `highest`."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table.name])
            cursor.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table.name, highest]
            )
        else:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, %s)::regclass, %s, %s)",
                [connection.ops.quote_name(table.name), table.key, max(highest, 1), highest > 0],
            )
