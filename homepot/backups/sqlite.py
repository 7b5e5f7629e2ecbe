"""SQLite: its online backup, and a new file in an old one's place."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homepot.backups.errors import BackupError

PAGES_PER_STEP = 1000
# To tell a server that has the file open from one that is just closing it.
LOCK_SECONDS = 2


def server_version(connection: Any) -> str:
    return sqlite3.sqlite_version


def dump(connection: Any, path: Path) -> None:
    """Copy the database to the empty file `path`, as the snapshot on `connection` sees it.

    Writers go on meanwhile, and do not make it start over: what they add waits in the WAL.
    """
    source: sqlite3.Connection = connection.connection
    (pages,), (page_size,) = (
        source.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
    )
    check_space(path.parent, pages * page_size)
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        # Nothing here has to survive a power cut before the file is synced and gets its name.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy, pages=PAGES_PER_STEP)
    # "immutable": without making a WAL of its own.
    with closing(sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True)) as copy:
        problems = [row[0] for row in copy.execute("PRAGMA integrity_check(3)")]
    if problems != ["ok"]:
        raise BackupError(
            f"The copy is damaged, and the database with it: {'; '.join(problems)}. Restore the "
            "last good backup."
        )


def check_space(folder: Path, size: int) -> None:
    """Raise BackupError when `size` bytes do not fit into `folder`."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise BackupError(
            f"{folder} has {free / 1e6:,.0f} MB left, and {size / 1e6:,.0f} MB are needed."
        )


@contextmanager
def new_file(data: Path, database: Path) -> Iterator[Path]:
    """A copy of `data` beside `database`, which `put_in_place` may move; removed otherwise."""
    check_space(database.parent, data.stat().st_size)
    path = database.with_name(f".{database.name}.restoring")
    if path.exists():
        raise BackupError(
            f"{path} is there: a restore is under way, or one was killed. Delete it if it was."
        )
    owner = (database if database.exists() else database.parent).stat()
    try:
        with data.open("rb") as source, open(path, "xb", opener=_private) as file:
            if os.geteuid() == 0:
                # The service has to write to it.
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            shutil.copyfileobj(source, file, 1 << 20)
        yield path
    finally:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def put_in_place(path: Path, database: Path) -> None:
    """Let the checked file `path` become `database`, between two moments.

    Raises BackupError when another process has that one open.
    """
    # Opening and checking it left a WAL.
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
    if database.exists():
        with _alone_with(database):
            os.chmod(path, database.stat().st_mode)
            os.replace(path, database)
    else:
        try:
            os.link(path, database)  # fails where a file has come into being
        except FileExistsError:
            raise BackupError(f"{database} has come into being meanwhile.") from None
    folder = os.open(database.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _alone_with(database: Path) -> Iterator[None]:
    """Keep everybody out of the file `database`; raises BackupError when somebody is in."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=LOCK_SECONDS)) as held:
        try:
            # Only the last one who has it open may leave WAL, which also empties and removes it:
            # left behind, the next to come would apply it to the new file.
            held.execute("PRAGMA journal_mode = DELETE")
            held.execute("PRAGMA locking_mode = EXCLUSIVE")
            held.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise BackupError(
                f"Another program has {database} open: stop the service and its workers first."
            ) from None
        yield
        with suppress(sqlite3.OperationalError):
            held.execute("ROLLBACK")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
