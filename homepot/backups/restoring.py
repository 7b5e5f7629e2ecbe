"""Putting a backup back, and proof that it is back.

Everything that can be wrong is found before the database changes: checksums, engine, migrations
that this version does not know, data that is in the way, a service that runs. What was restored
is compared with the manifest before anybody can see it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from homepot.backups import postgresql, sqlite
from homepot.backups.errors import BackupError
from homepot.backups.files import Backup
from homepot.backups.state import State, holds_rows, own_tables, read_state, unknown_migrations
from homepot.database import SQLITE_ENGINE, describe_database
from homepot.models import ServicePulse
from homepot.postgresql.limits import limited
from homepot.transfer.databases import connected
from homepot.transfer.digest import table_digests

# A service that lives beats more often.
QUIET_BEATS = 3
POLL_SECONDS = 0.5


def check_fits(backup: Backup, options: dict[str, Any]) -> None:
    """Raise BackupError when no database with these options can take the backup."""
    engine = "sqlite" if options["ENGINE"] == SQLITE_ENGINE else "postgresql"
    if backup.manifest.engine != engine:
        raise BackupError(
            f"{backup.data.name} is a backup of {backup.manifest.engine}, and the target is the "
            f"{describe_database(options)}. Restore it to its own kind, then copy."
        )
    if unknown := unknown_migrations(backup.manifest.migrations):
        raise BackupError(
            f"{backup.data.name} was made by another version of HOMEPOT, with migrations that "
            f"this one does not have: {', '.join(unknown[:3])}. Restore it with that version."
        )


def is_missing(options: dict[str, Any]) -> bool:
    """Whether connecting would make a new file of SQLite's."""
    return options["ENGINE"] == SQLITE_ENGINE and not Path(options["NAME"]).exists()


def is_in_use(options: dict[str, Any]) -> bool:
    """Whether the database holds rows that somebody would miss.

    Raises BackupError when its tables are another program's.
    """
    if is_missing(options):
        return False
    with connected(options) as connection:
        state = read_state(connection)
        if not state.tables and connection.introspection.table_names():
            raise BackupError(
                f"The {describe_database(options)} holds tables of another program: name an "
                "empty database."
            )
        return holds_rows(connection, state)


def restore(backup: Backup, options: dict[str, Any]) -> State:
    """Put `backup` in the place of all that the database holds; return the state it is in.

    Raises BackupError with nothing changed.
    """
    check_fits(backup, options)
    require_quiet(options)
    if options["ENGINE"] != SQLITE_ENGINE:
        with connected(options) as connection, limited_by_nothing(connection):
            with transaction.atomic(using=connection.alias):
                replaced = own_tables(connection, read_state(connection))
                postgresql.load(
                    connection,
                    backup.data,
                    instead_of=sorted(replaced),
                    made_by=backup.manifest.server_version,
                )
                state = require_equal(backup, connection)
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")  # the planner knows nothing of new tables
            return state
    database = Path(options["NAME"])
    with sqlite.new_file(backup.data, database) as path:
        with connected(options | {"NAME": str(path)}) as connection:
            state = require_equal(backup, connection)
        sqlite.put_in_place(path, database)
    return state


def require_equal(backup: Backup, connection: Any) -> State:
    """Raise BackupError unless the database holds exactly what was backed up."""
    state = read_state(connection)
    expected = backup.manifest.tables
    found = table_digests(connection, state.tables)
    different = {
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    }
    if state.migrations != backup.manifest.migrations:
        different.add("django_migrations")
    if different:
        raise BackupError(
            f"{backup.data} does not give back what was backed up; these tables differ: "
            f"{', '.join(sorted(different))}. Nothing was changed; use another backup."
        )
    return state


@contextmanager
def limited_by_nothing(connection: Any) -> Iterator[None]:
    """Restoring a large table takes longer than a request may."""
    with limited(connection, statement_timeout="0", idle_in_transaction_session_timeout="0"):
        yield


def require_quiet(options: dict[str, Any]) -> None:
    """Raise BackupError when a service works on the database; may take seconds to be sure."""
    if is_missing(options):
        return
    with connected(options) as connection:
        if connection.vendor == "postgresql" and (names := postgresql.other_sessions(connection)):
            raise BackupError(
                f"The database is in use by {', '.join(names)}: stop the service and its workers "
                "first."
            )
        if ServicePulse._meta.db_table not in connection.introspection.table_names():
            return
        quiet = timedelta(seconds=QUIET_BEATS * settings.PULSE_SECONDS)
        pulses = ServicePulse.objects.using(connection.alias).values_list("beat_at", flat=True)
        last_beat = pulses.first()
        deadline = time.monotonic() + quiet.total_seconds()
        # A service that was stopped a moment ago does not beat again.
        while last_beat and last_beat > timezone.now() - quiet and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            if pulses.first() != last_beat:
                raise BackupError("The service is running on it: stop it and its workers first.")
