"""The triggers of a database, whichever app made them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from homepot.transfer.tables import Table

# When PostgreSQL runs a trigger, as ALTER TABLE says it.
_MODES = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}


@dataclass(frozen=True, order=True)
class Trigger:
    """`mode` is PostgreSQL's letter for when it runs."""

    table: str
    name: str
    definition: str
    mode: str = ""


def triggers_of(connection: Any) -> list[Trigger]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'")
        else:
            cursor.execute(
                "SELECT relname, tgname, pg_get_triggerdef(pg_trigger.oid), tgenabled::text "
                "FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
                "WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace"
            )
        return sorted(Trigger(*row) for row in cursor.fetchall())


@contextmanager
def triggers_lifted(connection: Any, tables: list[Table]) -> Iterator[None]:
    """Those of `tables` are away in this block, which is a transaction.

    Nobody else can make use of that: PostgreSQL has locked the tables, SQLite all of it.
    """
    names = {table.name for table in tables}
    found = [trigger for trigger in triggers_of(connection) if trigger.table in names]
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for trigger in found:
            if connection.vendor == "sqlite":
                cursor.execute(f"DROP TRIGGER {quote(trigger.name)}")
            else:
                cursor.execute(
                    f"ALTER TABLE {quote(trigger.table)} DISABLE TRIGGER {quote(trigger.name)}"
                )
        yield
        for trigger in found:
            if connection.vendor == "sqlite":
                cursor.execute(trigger.definition)
            else:
                cursor.execute(
                    f"ALTER TABLE {quote(trigger.table)} {_MODES[trigger.mode]} "
                    f"TRIGGER {quote(trigger.name)}"
                )
