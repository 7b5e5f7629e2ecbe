"""A database to try a backup in, which is gone afterwards."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import ProgrammingError

from homepot.backups.errors import BackupError
from homepot.backups.files import Backup
from homepot.backups.state import own_tables, read_state
from homepot.database import POSTGRESQL_ENGINE, describe_database
from homepot.transfer.databases import connected, options_of

# Every server has it, and nobody works in it.
MAINTENANCE_DATABASE = "postgres"


@contextmanager
def scratch_database(backup: Backup, url: str | None) -> Iterator[dict[str, Any]]:
    """Options of an empty database that can take `backup`: a new one, or the one at `url`."""
    if backup.manifest.engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="homepot-drill-") as folder:
            yield options_of(f"sqlite:///{quote(str(Path(folder) / 'scratch.db'))}")
        return
    options = options_of(url) if url else settings.OWNER_DATABASE
    if options["ENGINE"] != POSTGRESQL_ENGINE:
        raise BackupError(
            f"{backup.data.name} is a backup of PostgreSQL: name an empty database there with "
            "--into."
        )
    with _emptied_afterwards(options) if url else _new_database(options) as scratch:
        yield scratch


@contextmanager
def _new_database(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    scratch = options | {"NAME": f"homepot_drill_{secrets.token_hex(4)}"}
    with connected(options | {"NAME": MAINTENANCE_DATABASE}) as server, server.cursor() as cursor:
        try:
            # The locale that fits every server; digests do not depend on it.
            cursor.execute(
                f"CREATE DATABASE {scratch['NAME']} TEMPLATE template0 ENCODING 'UTF8' "
                "LC_COLLATE 'C' LC_CTYPE 'C'"
            )
        except ProgrammingError as error:
            raise BackupError(
                f"{options['USER']} may not make a scratch database "
                f"({str(error).splitlines()[0]}): name an empty one with --into, or run "
                f'`ALTER ROLE "{options["USER"]}" CREATEDB` as a superuser.'
            ) from None
        try:
            yield scratch
        finally:
            cursor.execute(f"DROP DATABASE {scratch['NAME']} WITH (FORCE)")


@contextmanager
def _emptied_afterwards(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with connected(options) as connection:
        if connection.introspection.table_names():
            raise BackupError(
                f"The {describe_database(options)} is not empty, and the drill would empty it."
            )
    try:
        yield options
    finally:
        with connected(options) as connection, connection.cursor() as cursor:
            tables = own_tables(connection, read_state(connection))
            if tables:
                names = ", ".join(map(connection.ops.quote_name, sorted(tables)))
                cursor.execute(f"DROP TABLE {names} CASCADE")
            cursor.execute(
                "SELECT oid::regprocedure::text FROM pg_proc "
                "WHERE pronamespace = 'public'::regnamespace AND proowner = current_user::regrole"
            )
            for (function,) in cursor.fetchall():
                cursor.execute(f"DROP FUNCTION {function}")
