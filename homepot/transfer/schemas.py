"""Whether a database has the tables that this version of the code expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from homepot.database import describe_database
from homepot.transfer.errors import TransferError
from homepot.transfer.tables import Table


def describe(connection: Any) -> str:
    """Engine, host and database for people."""
    return describe_database(connection.settings_dict)


@dataclass(frozen=True)
class Schema:
    """Whether our tables are there, and how many migrations they still lack."""

    has_tables: bool
    missing_migrations: int


def schema_of(connection: Any, tables: list[Table]) -> Schema:
    """Raises TransferError when this code cannot use the tables, however it migrates them."""
    applied = MigrationRecorder(connection).applied_migrations()
    present = {table.name for table in tables} & set(connection.introspection.table_names())
    if present and not any(app == "accounts" for app, _ in applied):
        raise TransferError(
            f"The {describe(connection)} holds tables of another program: "
            f"{', '.join(sorted(present))}. Name a database of its own."
        )
    executor = MigrationExecutor(connection)
    unknown = [
        f"{app}.{name}"
        for app, name in sorted(applied)
        if app in executor.loader.migrated_apps
        and (app, name) not in executor.loader.disk_migrations
    ]
    if unknown:
        raise TransferError(
            f"The {describe(connection)} was migrated by a newer version of HOMEPOT "
            f"({', '.join(unknown)}). Use that version."
        )
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Schema(has_tables=bool(present), missing_migrations=len(plan))
