"""Django's migrate, which first looks whether the database is somebody else's."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.recorder import MigrationRecorder

from homepot.database import describe_database

# The tables that the server this replaces has too.
ORIGINAL_TABLES = frozenset({"users", "sites", "devices", "jobs", "health_checks", "audit_logs"})


class Command(migrate.Command):
    def execute(self, *args: Any, **options: Any) -> str | None:
        # Before the system checks, which would warn of what those tables lack.
        refuse_foreign_tables(options["database"])
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            super().handle(*args, **options)
        except MigrationSchemaMissing as error:
            # What PostgreSQL 15 and newer do to a user who does not own the database.
            described = describe_database(connections[options["database"]].settings_dict)
            reason = str(error.__context__).partition("\n")[0]
            raise CommandError(f"Cannot make tables in the {described}: {reason}.") from None


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
