"""Making a backup: data and digests of one moment."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homepot.backups import postgresql, sqlite
from homepot.backups.errors import BackupError
from homepot.backups.files import Backup, Manifest, write_backup
from homepot.backups.state import read_state
from homepot.database import describe_database
from homepot.transfer.databases import connected
from homepot.transfer.digest import table_digests
from homepot.transfer.snapshots import snapshot

# How the names of backups begin, by why they were made.
ASKED_FOR = "homepot"
BEFORE_MIGRATE = "before-migrate"
BEFORE_RESTORE = "before-restore"


def make_backup(options: dict[str, Any], folder: Path, *, prefix: str = ASKED_FOR) -> Backup:
    """Back up the database with these options of Django's. Nobody is kept from writing.

    Raises BackupError, OperationalError and OSError.
    """
    with connected(options) as connection, snapshot(connection):
        # The digests are those of the database itself and not of the copy: they show later that
        # the copy was right.
        state = read_state(connection)
        if not state.tables:
            raise BackupError(
                f"The {describe_database(options)} has no tables of HOMEPOT: there is nothing "
                "to back up."
            )
        engine = sqlite if connection.vendor == "sqlite" else postgresql

        def fill(path: Path) -> Manifest:
            engine.dump(connection, path)
            return Manifest(
                engine=connection.vendor,
                server_version=engine.server_version(connection),
                database=describe_database(options),
                made_at=datetime.now(UTC),
                migrations=state.migrations,
                tables=table_digests(connection, state.tables),
            )

        return write_backup(folder, prefix=prefix, engine=connection.vendor, fill=fill)
