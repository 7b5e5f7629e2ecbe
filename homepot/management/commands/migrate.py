"""Django's migrate, which first looks whether the database is somebody else's.

On PostgreSQL it also stays out of the way of a service that is running: it gives up a lock that
it does not get at once, before others have to wait behind it, and tries again a little later.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.recorder import MigrationRecorder
from psycopg.errors import LockNotAvailable, QueryCanceled

from homepot.database import describe_database
from homepot.postgresql.limits import limited

ATTEMPTS = 20
PAUSE_SECONDS = 2

# The tables that the server this replaces has too.
ORIGINAL_TABLES = frozenset({"users", "sites", "devices", "jobs", "health_checks", "audit_logs"})


class Command(migrate.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-seconds",
            type=float,
            default=2.0,
            help="on PostgreSQL, how long to wait for a lock before trying again later, since "
            "everybody else waits behind it (default: %(default)s; 0: without end)",
        )
        parser.add_argument(
            "--statement-seconds",
            type=float,
            default=60.0,
            help="on PostgreSQL, how long a statement may run, except those that lock nobody out "
            "(default: %(default)s; 0: without end)",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        use_owner(options["database"])
        # Before the system checks, which would warn of what those tables lack.
        refuse_foreign_tables(options["database"])
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        statement_timeout = f"{options['statement_seconds'] * 1000:.0f}"
        try:
            with limited(
                connection,
                lock_timeout=f"{options['lock_seconds'] * 1000:.0f}",
                statement_timeout=statement_timeout,
                # Between two statements a migration may have to think.
                idle_in_transaction_session_timeout=statement_timeout,
            ):
                self._migrate(*args, **options)
        except MigrationSchemaMissing as error:
            # What PostgreSQL 15 and newer do to a user who does not own the database.
            described = describe_database(connection.settings_dict)
            reason = str(error.__context__).partition("\n")[0]
            raise CommandError(f"Cannot make tables in the {described}: {reason}.") from None

    def _migrate(self, *args: Any, **options: Any) -> None:
        """Migrate, again when a lock was not to be had: what was done before stays done."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                super().handle(*args, **options)
                return
            except OperationalError as error:
                reason = str(error).partition("\n")[0]
                match error.__cause__:
                    case LockNotAvailable() if attempt < ATTEMPTS:
                        self.stderr.write(
                            f"The table is in use ({reason}); trying again in {PAUSE_SECONDS} s."
                        )
                        time.sleep(PAUSE_SECONDS)
                    case LockNotAvailable():
                        raise CommandError(
                            f"The table stayed in use ({reason}). Run migrate again at a quieter "
                            "time, or end what uses it: see docs/troubleshooting.md."
                        ) from None
                    case QueryCanceled():
                        raise CommandError(
                            f"A statement took too long ({reason}) and was undone. Run migrate "
                            "again with a larger --statement-seconds when the service is stopped."
                        ) from None
                    case _:
                        raise


def use_owner(alias: str) -> None:
    """Connect as the role that owns the tables, where DATABASE__OWNER_URL names one."""
    if alias == DEFAULT_DB_ALIAS and settings.OWNER_DATABASE is not settings.DATABASES[alias]:
        connections[alias].close()
        connections[alias].settings_dict.update(settings.OWNER_DATABASE)


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
