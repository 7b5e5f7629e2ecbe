"""Django's migrate, which first looks whether the database is somebody else's.

SQLite's is backed up before it changes. On PostgreSQL it stays out of the way of a service that
is running: it gives up a lock that it does not get at once, before others have to wait behind
it, and tries again a little later.
"""

from __future__ import annotations

import time
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import pre_migrate
from psycopg.errors import LockNotAvailable, QueryCanceled

from homepot.backups.errors import BackupError
from homepot.backups.files import prune
from homepot.backups.making import BEFORE_MIGRATE, make_backup
from homepot.backups.state import holds_rows, read_state
from homepot.database import describe_database
from homepot.postgresql.limits import limited

ATTEMPTS = 20
PAUSE_SECONDS = 2
# Of those made before a migration, the newest.
KEPT_BACKUPS = 3

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
        parser.add_argument(
            "--no-backup",
            action="store_true",
            help="on SQLite, do not back the database up before it changes",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        use_owner(options["database"])
        # Before the system checks, which would warn of what those tables lack.
        refuse_foreign_tables(options["database"])
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor == "sqlite" and not options["no_backup"]:
            # Sent when it is known what will be done, and before it is.
            pre_migrate.connect(self.back_up, sender=apps.get_app_config("homepot"))
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

    def back_up(self, *, plan: list[Any], using: str, verbosity: int, **kwargs: Any) -> None:
        """Keep the database as it is before the migrations in `plan`, if it holds anything."""
        connection = connections[using]
        if not plan or not holds_rows(connection, read_state(connection)):
            return
        try:
            folder = settings.BACKUP_FOLDER
            backup = make_backup(connection.settings_dict, folder, prefix=BEFORE_MIGRATE)
            prune(folder, prefix=BEFORE_MIGRATE, keep=KEPT_BACKUPS)
        except (BackupError, OSError) as error:
            raise CommandError(
                f"The database could not be backed up first ({error}), so nothing was migrated. "
                "--no-backup does without."
            ) from None
        if verbosity:
            self.stdout.write(f"Backed up to {backup.data} first; `restore` brings it back.")

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
