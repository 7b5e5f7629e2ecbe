"""The database that is to be filled: whether it may be, and making it ready."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from django.db import OperationalError, transaction

from homepot.transfer.errors import TransferError
from homepot.transfer.schemas import describe
from homepot.transfer.tables import Table
from homepot.transfer.triggers import triggers_lifted

# Filled by every `migrate`; a database with rows in no other tables is empty.
FILLED_BY_MIGRATE = {"contenttypes.ContentType", "auth.Permission"}
# "homepot", for PostgreSQL's locks that have numbers for names.
LOCK = 0x686F6D65706F74
INDEXING_LOCK = LOCK + 1
_SQLITE_LOCK_WAIT_MS = 2000
# What the same rows need in the other engine, with its log, is never more than this.
SPACE_FACTOR = 2


def take(connection: Any) -> None:
    """Keep every other copy, and on SQLite everybody else, out of the database.

    The end of the connection, however it comes about, lets them in again.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA busy_timeout = {_SQLITE_LOCK_WAIT_MS}")
            cursor.execute("PRAGMA locking_mode = EXCLUSIVE")
            try:
                # Takes the lock, and keeps it.
                cursor.execute("BEGIN EXCLUSIVE")
                cursor.execute("COMMIT")
                return
            except OperationalError:
                is_free = False
        else:
            # What a copy that was killed had begun to index, the server goes on with for a while.
            cursor.execute(
                "SELECT pg_try_advisory_lock(%s) AND pg_try_advisory_xact_lock(%s)",
                [LOCK, INDEXING_LOCK],
            )
            (is_free,) = cursor.fetchone()
    if not is_free:
        raise TransferError(
            f"The {describe(connection)} is in use. Stop the server, the worker or the copy that "
            "uses it."
        )


def are_same(one: Any, other: Any) -> bool:
    """Whether both connections lead to the same database, by whatever name."""
    if one.vendor != other.vendor:
        return False
    if one.vendor == "sqlite":
        return os.path.samefile(one.settings_dict["NAME"], other.settings_dict["NAME"])
    identities = []
    for connection in (one, other):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT oid, pg_postmaster_start_time() FROM pg_database "
                "WHERE datname = current_database()"
            )
            identities.append(cursor.fetchone())
    return identities[0] == identities[1]


def check_may_fill(connection: Any, tables: list[Table]) -> None:
    """Raise TransferError when the target cannot hold all texts, or may not be written to."""
    if connection.vendor == "sqlite":
        return  # connecting has shown that the file may be written to
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        (encoding,) = cursor.fetchone()
        cursor.execute("SELECT has_schema_privilege(current_schema(), 'CREATE')")
        (may_create,) = cursor.fetchone()
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
            "AND tablename = ANY(%s) AND NOT pg_has_role(tableowner, 'MEMBER') ORDER BY tablename",
            [[table.name for table in tables]],
        )
        foreign = [name for (name,) in cursor.fetchall()]
    if encoding != "UTF8":
        raise TransferError(
            f"The {describe(connection)} is encoded in {encoding}, which has no place for all "
            "characters. Make one with ENCODING 'UTF8'."
        )
    if not may_create or foreign:
        problem = f"does not own {', '.join(foreign)}" if foreign else "may not make tables"
        raise TransferError(
            f"The {describe(connection)}: this user {problem}. Use the owner of the database."
        )


def needed_bytes(source: Any, tables: list[Table]) -> int:
    """How much room the rows of `source` and their indexes take at most, in either engine."""
    with source.cursor() as cursor:
        if source.vendor == "sqlite":
            cursor.execute(
                "SELECT (page_count - freelist_count) * page_size "
                "FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
            )
        else:
            cursor.execute(
                "SELECT sum(pg_total_relation_size(to_regclass(quote_ident(name))))::bigint "
                "FROM unnest(%s::text[]) AS name",
                [[table.name for table in tables]],
            )
        (size,) = cursor.fetchone()
    return int(size) * SPACE_FACTOR


def free_bytes(connection: Any) -> int | None:
    """The room where the target keeps its files; None when that cannot be seen from here."""
    if connection.vendor == "sqlite":
        return shutil.disk_usage(Path(connection.settings_dict["NAME"]).parent).free
    host = connection.settings_dict["HOST"]
    if host not in ("", "localhost", "127.0.0.1", "::1") and not host.startswith("/"):
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER') "
            "THEN current_setting('data_directory') END"
        )
        (folder,) = cursor.fetchone()
    # In a container "localhost" may be another machine.
    return shutil.disk_usage(folder).free if folder and os.path.exists(folder) else None


def filled_tables(connection: Any, tables: list[Table]) -> list[Table]:
    """The tables with rows that `migrate` did not make."""
    filled = []
    present = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for table in tables:
            if table.name in present and table.label not in FILLED_BY_MIGRATE:
                name = connection.ops.quote_name(table.name)
                cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {name})")  # noqa: S608
                if cursor.fetchone()[0]:
                    filled.append(table)
    return filled


def empty(connection: Any, tables: list[Table]) -> None:
    """Remove every row of `tables`, past triggers that would refuse, which are there after it."""
    names = [connection.ops.quote_name(table.name) for table in tables]
    with (
        transaction.atomic(using=connection.alias),
        triggers_lifted(connection, tables),
        connection.cursor() as cursor,
    ):
        if connection.vendor == "sqlite":
            for name in names:
                cursor.execute(f"DELETE FROM {name}")  # noqa: S608
        else:
            cursor.execute(f"TRUNCATE {', '.join(names)} RESTART IDENTITY")


def settle(connection: Any, tables: list[Table]) -> None:
    """Make the filled database as good to work with as one that has grown.

    What is committed from here on outlives a crash of the machine, and all before it too.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous = FULL")
        else:
            cursor.execute("SET synchronous_commit = on")
            # Or the first queries would be planned for empty tables.
            names = ", ".join(connection.ops.quote_name(table.name) for table in tables)
            cursor.execute(f"ANALYZE {names}")
