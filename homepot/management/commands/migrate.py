"""Django's migrate, which first looks whether the database is somebody else's."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

# The tables that the server this replaces has too.
ORIGINAL_TABLES = frozenset({"users", "sites", "devices", "jobs", "health_checks", "audit_logs"})


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        refuse_foreign_tables(options["database"])
        super().handle(*args, **options)


def refuse_foreign_tables(alias: str) -> None:
    """Raise CommandError when tables with our names were made by other means than migrations."""
    connection = connections[alias]
    if any(app == "accounts" for app, _ in MigrationRecorder(connection).applied_migrations()):
        return
    foreign = ORIGINAL_TABLES.intersection(connection.introspection.table_names())
    if foreign:
        raise CommandError(
            f"The database already holds tables of another program: {', '.join(sorted(foreign))}. "
            "HOMEPOT needs a database of its own: name an empty one in DATABASE__URL."
        )
