"""Which migrations a database has, and the tables that follow from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.migrations.loader import MigrationLoader

from homepot.transfer.tables import Table, tables

# What `migrate` and a running service write by themselves.
_ROWS_OF_ITS_OWN = {"auth_permission", "django_content_type", "service_pulse", "sweeps"}


@dataclass(frozen=True)
class State:
    """`migrations` are those applied, as "devices.0001_initial"; `pending` counts the others.

    `tables` are as those migrations made them, whatever the code is like now.
    """

    migrations: tuple[str, ...]
    pending: int
    tables: tuple[Table, ...]


def read_state(connection: Any) -> State:
    """The state of any database: one without tables has no migrations."""
    loader = MigrationLoader(connection)
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    registry = loader.project_state(applied).apps if applied else None
    return State(
        migrations=tuple(sorted(map(".".join, loader.applied_migrations))),
        pending=len(set(loader.graph.nodes) - set(applied)),
        tables=tuple(tables(registry)) if registry else (),
    )


def unknown_migrations(migrations: Iterable[str]) -> list[str]:
    """Those of `migrations` that this version of the code does not have."""
    loader = MigrationLoader(None)
    known = {".".join(key) for key in loader.disk_migrations}
    for migration in loader.disk_migrations.values():
        known.update(".".join(key) for key in migration.replaces)
    return sorted(set(migrations) - known)


def holds_rows(connection: Any, state: State) -> bool:
    """Whether somebody would miss what is in the database."""
    names = [table.name for table in state.tables if table.name not in _ROWS_OF_ITS_OWN]
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"SELECT 1 FROM {quote(name)} LIMIT 1")  # noqa: S608
            if cursor.fetchone():
                return True
    return False


def own_tables(connection: Any, state: State) -> set[str]:
    """The names of the tables there that are HOMEPOT's, of any time."""
    ours = {table.name for table in (*state.tables, *tables())} | {"django_migrations"}
    return ours.intersection(connection.introspection.table_names())
