"""The database server, or file, and what it lets us do."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils import timezone

from homepot.database import describe_database
from homepot.doctor.findings import Finding, ok, problem, warning

SLOW_MS = 20
TRIES = 5
CLOCKS_DIFFER = timedelta(seconds=2)
CONNECTIONS_SHARE = 0.8
LONG_TRANSACTION = timedelta(minutes=5)
# What makes a commit outlast a power cut.
DURABLE = ("fsync", "full_page_writes")


def ask(statement: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _milliseconds(statement: str) -> float:
    began = time.monotonic()
    ask(statement)
    return (time.monotonic() - began) * 1000


def look_at_server() -> Iterator[Finding]:
    """Version and distance. Raises OperationalError when it is not there."""
    connection.ensure_connection()
    # The quickest of a few: a busy moment of this machine is no distance.
    took_ms = min(_milliseconds("SELECT 1") for _ in range(TRIES))
    version = ".".join(str(part) for part in connection.get_database_version())
    described = describe_database(connection.settings_dict)
    wanted = connection.features.minimum_database_version
    if wanted and connection.get_database_version() < wanted:
        yield problem(
            "database",
            f"{described}: version {version} is older than the oldest that is supported.",
            f"Upgrade it to {'.'.join(str(part) for part in wanted)} or newer.",
        )
    elif took_ms > SLOW_MS:
        yield warning(
            "database",
            f"{described}, version {version}, takes {took_ms:.0f} ms to answer nothing.",
            "Bring it nearer: each check-in waits for it at least once.",
        )
    else:
        yield ok("database", f"{described}, version {version}, answers in {took_ms:.1f} ms.")


def _is_closed(folder: Path) -> bool:
    """Whether none but its owner gets to what is in it."""
    return not stat.S_IMODE(folder.stat().st_mode) & 0o077


def look_at_sqlite() -> Iterator[Finding]:
    """Whether the file is sound and may be written to, and its log is the one we need."""
    path = Path(connection.settings_dict["NAME"])
    if not os.access(path.parent, os.W_OK):
        yield problem(
            "rights",
            f"The folder {path.parent} cannot be written to, and SQLite makes files in it.",
            f"Give it to the service's user: chown SERVICE-USER {path.parent}",
        )
    elif (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077 and not _is_closed(path.parent):
        yield warning(
            "rights",
            f"{path} can be read by others than its owner (mode {mode:04o}).",
            f"Run: chmod 600 {path}*",
        )
    else:
        yield ok("rights", f"{path} and its folder can be written to, by nobody else.")
    ((journal,),) = ask("PRAGMA journal_mode")
    if journal != "wal":
        yield problem(
            "journal",
            f"Its journal is {journal} and not wal: readers and writers wait for each other.",
            "Put the file on a disk of this machine; network drives cannot do it.",
        )
    damage = [row[0] for row in ask("PRAGMA quick_check(3)")]
    if damage != ["ok"]:
        yield problem(
            "soundness",
            f"The file is damaged: {damage[0]}",
            "Stop the service and restore a backup: docs/backup-and-restore.md",
        )
    else:
        yield ok("soundness", "The file is sound.")


def look_at_rights() -> Iterator[Finding]:
    """What our role may do on PostgreSQL."""
    ((schema, may_create),) = ask(
        "SELECT current_schema(), has_schema_privilege(current_schema(), 'CREATE')"
    )
    tables = connection.introspection.table_names()
    lacking = [
        name
        for (name,) in ask(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() "
            "AND tablename = ANY(%s) AND NOT has_table_privilege("
            "format('%%I.%%I', schemaname, tablename), 'SELECT, INSERT') ORDER BY 1",
            [tables],
        )
    ]
    if lacking:
        yield problem(
            "rights",
            f"The role may not read and write {', '.join(lacking)}.",
            "As the owner of the tables, run: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES "
            f"IN SCHEMA {schema} TO {connection.settings_dict['USER']}",
        )
    elif may_create:
        yield ok("rights", f"The role may use all tables and make new ones in {schema}.")
    else:
        yield ok("rights", "The role may use all tables; migrations are for their owner to run.")


def look_at_server_settings() -> Iterator[Finding]:
    """What of PostgreSQL's own settings would lose data or stop the service."""
    ((encoding,),) = ask("SHOW server_encoding")
    if encoding != "UTF8":
        yield problem(
            "encoding",
            f"The database stores text as {encoding}, which cannot hold every name.",
            "Make a new one with ENCODING 'UTF8' and copy the data into it.",
        )
    values = {name: ask(f"SHOW {name}")[0][0] for name in (*DURABLE, "synchronous_commit")}
    risky = [name for name in DURABLE if values[name] != "on"]
    for name in risky:
        yield problem(
            "durability",
            f"{name} is {values[name]}: a power cut can destroy the whole database.",
            f"Run: ALTER SYSTEM SET {name} = on; and restart the server.",
        )
    if values["synchronous_commit"] == "off":
        yield warning(
            "durability",
            "synchronous_commit is off: a crash loses the last moments of what was acknowledged.",
            "Run: ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();",
        )
    elif not risky:
        yield ok("durability", "What is acknowledged is on disk.")


def look_at_sessions() -> Iterator[Finding]:
    """Whether connections run out, or somebody forgot to end a transaction."""
    ((used, most),) = ask(
        "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity "
        "WHERE backend_type = 'client backend'"
    )
    if used > CONNECTIONS_SHARE * most:
        yield warning(
            "connections",
            f"{used} of {most} connections are in use.",
            "Lower DATABASE__POOL_SIZE and DATABASE__MAX_OVERFLOW, or raise max_connections.",
        )
    else:
        yield ok("connections", f"{used} of {most} are in use.")
    for pid, user, program, seconds in ask(
        "SELECT pid, usename::text, application_name, "
        "extract(epoch FROM clock_timestamp() - xact_start)::int FROM pg_stat_activity "
        "WHERE datname = current_database() AND xact_start < clock_timestamp() - %s "
        "AND backend_type = 'client backend'",
        [LONG_TRANSACTION],
    ):
        yield warning(
            "transactions",
            f"A transaction of {user} ({program or 'no name'}, process {pid}) has been open for "
            f"{seconds // 60} minutes. It keeps migrations from running and tables from being "
            "tidied up.",
            f"End it: SELECT pg_terminate_backend({pid});",
        )


def look_at_collation() -> Iterator[Finding]:
    """Whether the system's rules of sorting are still those that indexes were built by."""
    if connection.get_database_version() < (15,):
        return
    ((name, stored, actual),) = ask(
        "SELECT datname, datcollversion, pg_database_collation_actual_version(oid) "
        "FROM pg_database WHERE datname = current_database()"
    )
    if stored and stored != actual:
        yield problem(
            "collation",
            f"The system sorts text by version {actual} of its rules, indexes by {stored}: "
            "look-ups may miss rows.",
            f'Run: REINDEX DATABASE "{name}"; ALTER DATABASE "{name}" REFRESH COLLATION VERSION;',
        )


def look_at_clock() -> Iterator[Finding]:
    """Whether this machine and the database agree what time it is."""
    before = timezone.now()
    ((theirs,),) = ask("SELECT clock_timestamp()")
    ours = before + (timezone.now() - before) / 2
    seconds = (theirs - ours).total_seconds()
    if abs(theirs - ours) > CLOCKS_DIFFER:
        yield problem(
            "clock",
            f"The database's clock is {abs(seconds):.1f} s {'ahead' if seconds > 0 else 'behind'}.",
            "Let both machines set their clocks by NTP: timedatectl set-ntp true",
        )
    else:
        yield ok("clock", f"It differs from the database's by {abs(seconds) * 1000:.0f} ms.")


def checks() -> list[Any]:
    """Those of the engine in use, once the server has answered."""
    if connection.vendor == "sqlite":
        return [look_at_sqlite]
    return [
        look_at_rights,
        look_at_server_settings,
        look_at_sessions,
        look_at_collation,
        look_at_clock,
    ]
