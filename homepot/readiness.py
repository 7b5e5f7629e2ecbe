"""Whether this process can do its work, part by part: see homepot/probes.py.

What is asked of the database is asked by one thread of its own, on a connection beside the pool,
at most once a second: probes cost little however often they come, and when the database does not
answer they say so within a second, whatever it is that hangs.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import Error, load_backend
from django.utils import timezone

from homepot.read_only import is_read_only
from homepot.sweeps import sweep_states

GOOD_FOR_SECONDS = 1.0
PATIENCE_SECONDS = 1.0
CONNECT_SECONDS = 2


@dataclass(frozen=True)
class Part:
    """`detail` is for people and names no host, user or path: anybody may read it."""

    name: str
    is_well: bool
    detail: str


class Readiness:
    """The state of the database's side, kept for a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looking: Future[list[Part]] | None = None
        self._looked_at = 0.0
        # A thread for each process: made by the first probe, after all forks.
        self._thread: ThreadPoolExecutor | None = None

    def parts(self) -> list[Part]:
        """Database, migrations and sweeps; what was found less than a second ago may be told."""
        with self._lock:
            age = time.monotonic() - self._looked_at
            if self._looking is None or (self._looking.done() and age > GOOD_FOR_SECONDS):
                self._looked_at = time.monotonic()
                self._thread = self._thread or ThreadPoolExecutor(
                    1, "readiness", initializer=_leave_the_pool
                )
                self._looking = self._thread.submit(look_at_database)
            looking = self._looking
        wait([looking], PATIENCE_SECONDS)
        if not looking.done():
            return [Part("database", False, f"It has not answered for {PATIENCE_SECONDS:g} s.")]
        return looking.result()


readiness = Readiness()


def _leave_the_pool() -> None:
    """Give this thread a connection that others cannot keep from it."""
    options = {**connection.settings_dict, "OPTIONS": {**connection.settings_dict["OPTIONS"]}}
    options["OPTIONS"].pop("pool", None)
    if connection.vendor == "postgresql":
        options["OPTIONS"]["connect_timeout"] = CONNECT_SECONDS
    connections["default"] = load_backend(options["ENGINE"]).DatabaseWrapper(options, "default")


def look_at_database() -> list[Part]:
    """Ask the database of this thread's connection; what fails hides what would come after it."""
    found = []
    with closing(connection):
        for name, look in LOOKS.items():
            try:
                is_well, detail = look()
            except Error:
                is_well, detail = False, UNREADABLE[name]
            found.append(Part(name, is_well, detail))
            if detail == UNREADABLE[name]:
                break
    return found


def look_at_connection() -> tuple[bool, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True, "It answers."


def look_at_migrations() -> tuple[bool, str]:
    """Whether the tables are those that this code was written for."""
    applied = set(MigrationRecorder.Migration.objects.values_list("app", "name"))
    missing = len(known_migrations() - applied)
    return not missing, f"{missing} are to be applied." if missing else "All are applied."


@cache
def known_migrations() -> frozenset[tuple[str, str]]:
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    return frozenset(loader.disk_migrations)


def look_at_sweeps() -> tuple[bool, str]:
    """Whether some worker does the work that comes round every few seconds."""
    if is_read_only():
        return True, "They stand still in read-only mode."
    overdue = [state for state in sweep_states(timezone.now()) if state.is_overdue]
    names = ", ".join(state.name.rpartition(".")[2] for state in overdue)
    return not overdue, f"Overdue: {names}." if overdue else "All ran in time."


LOOKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "database": look_at_connection,
    "migrations": look_at_migrations,
    "sweeps": look_at_sweeps,
}
UNREADABLE = {
    "database": "It does not answer.",
    "migrations": "The list of what was applied cannot be read.",
    "sweeps": "When they ran cannot be read.",
}


def free_disk_bytes() -> int:
    """The room where this process writes: SQLite's folder, else the project's."""
    folder = Path(settings.BASE_DIR)
    if connection.vendor == "sqlite":
        folder = Path(connection.settings_dict["NAME"]).parent
        # The database's part tells of a folder that is missing.
        folder = folder if folder.exists() else settings.BASE_DIR
    return shutil.disk_usage(folder).free


def look_at_disk() -> Part:
    free_mb = free_disk_bytes() // 1_000_000
    return Part("disk", free_mb >= settings.MIN_FREE_DISK_MB, f"{free_mb:,} MB are free.")
