"""PostgreSQL: pg_dump of a snapshot, and its dump put back in one transaction.

pg_restore writes the statements and we run them: on a session of our own the old tables go, the
new ones come and their digests are compared before anything of it is committed.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from psycopg import conninfo, pq

from homepot.backups.errors import BackupError
from homepot.backups.programs import find_program, last_line, run_program

LOCK_WAIT = "30s"
LINES_PER_WRITE = 1000
END_OF_ROWS = b"\\.\n"
# What an owner of a database may not do, and what stands in the new one already.
_LEFT_OUT = re.compile(r"^\d+; \d+ \d+ (COMMENT - )?(EXTENSION|SCHEMA) ")
# A setting that older servers do not have; a session of a command has no such limit anyway.
_UNKNOWN_TO_OLDER = b"SET transaction_timeout = 0;\n"


def server_version(connection: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0])


def dump(connection: Any, path: Path) -> None:
    """Dump the database to the empty file `path`, as the snapshot on `connection` sees it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
    where, environment = _connection_of(connection)
    command = [
        find_program("pg_dump", version=connection.pg_version // 10000),
        *("--format=custom", f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT}"),
        *("--no-password", f"--file={path}", f"--dbname={where}"),
    ]
    run_program(command, environment)


def load(connection: Any, data: Path, *, instead_of: Iterable[str], made_by: str) -> None:
    """Put the dump back in place of the tables `instead_of`.

    Runs in the caller's transaction, which is broken when this raises. `made_by` is the version
    of the server that was dumped.
    """
    quote = connection.ops.quote_name
    tables = ", ".join(map(quote, instead_of))
    with connection.cursor() as cursor:
        if tables:
            cursor.execute(f"DROP TABLE {tables} CASCADE")
        cursor.execute("SHOW search_path")
        (search_path,) = cursor.fetchone()
        _run(connection, data, program=_pg_restore(made_by))
        cursor.execute("SELECT set_config('search_path', %s, false)", [search_path])


def _pg_restore(made_by: str) -> str:
    return find_program("pg_restore", version=int(re.split(r"\D", made_by)[0]))


def _run(connection: Any, data: Path, *, program: str) -> None:
    entries = run_program([program, "--list", str(data)])
    wanted = [line for line in entries.splitlines() if not _LEFT_OUT.match(line)]
    with tempfile.NamedTemporaryFile("w") as entry_file, tempfile.TemporaryFile() as errors:
        entry_file.write("\n".join(wanted) + "\n")
        entry_file.flush()
        # With --clean for what is no table: our function.
        options = ("--no-owner", "--no-privileges", "--clean", "--if-exists", "--file=-")
        command = [program, *options, f"--use-list={entry_file.name}", str(data)]
        with subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=errors
        ) as script:
            try:
                _execute_script(connection, cast(IO[bytes], script.stdout))
            except BaseException:
                script.kill()
                raise
        if script.returncode:
            errors.seek(0)
            told = errors.read().decode(errors="replace")
            raise BackupError(f"pg_restore failed: {last_line(told)}")


def _execute_script(connection: Any, script: IO[bytes]) -> None:
    """Run what pg_restore would have psql run."""
    is_older = connection.pg_version < 170000
    statements: list[bytes] = []
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        for line in script:
            if line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
                cursor.execute(b"".join(statements), prepare=False)
                statements.clear()
                with cursor.copy(line) as copy:
                    for rows in _rows(script):
                        copy.write(rows)
            # Not the words to psql itself.
            elif not line.startswith(b"\\") and not (is_older and line == _UNKNOWN_TO_OLDER):
                statements.append(line)
        cursor.execute(b"".join(statements), prepare=False)


def _rows(script: IO[bytes]) -> Iterator[bytes]:
    rows: list[bytes] = []
    for line in script:
        if line == END_OF_ROWS:
            yield b"".join(rows)
            return
        rows.append(line)
        if len(rows) == LINES_PER_WRITE:
            yield b"".join(rows)
            rows.clear()
    raise BackupError("The dump ends in the middle of a table.")


def other_sessions(connection: Any) -> list[str]:
    """The programs that are connected to the same database, apart from this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT coalesce(nullif(application_name, ''), usename, 'unnamed') "
            "FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return sorted(name for (name,) in cursor.fetchall())


def _connection_of(connection: Any) -> tuple[str, dict[str, str]]:
    """What a program needs to reach the same database; the password in the environment only."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    parameters = {
        name: value
        for name, value in connection.get_connection_params().items()
        # Our limits of time are for requests.
        if name in known and name != "options" and value not in (None, "")
    }
    password = parameters.pop("password", None)
    environment = dict(os.environ)
    if password:
        environment["PGPASSWORD"] = str(password)
    return conninfo.make_conninfo(**parameters), environment
