"""The service at work: room, worker, web processes, backups."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from homepot.backups.files import list_backups
from homepot.backups.making import ASKED_FOR
from homepot.doctor.findings import Finding, ok, problem, warning
from homepot.models import ServicePulse
from homepot.read_only import is_read_only
from homepot.readiness import free_disk_bytes
from homepot.sweeps import sweep_states

MB = 1_000_000
WEB_IS_SILENT = timedelta(minutes=1)
BACKUP_IS_OLD = timedelta(days=2)


def look_at_disk() -> Iterator[Finding]:
    """Whether there is room, for a copy of SQLite's file too."""
    free_mb = free_disk_bytes() // MB
    if free_mb < settings.MIN_FREE_DISK_MB:
        yield problem(
            "disk",
            f"{free_mb:,} MB are free; HEALTH__MIN_FREE_DISK_MB asks for "
            f"{settings.MIN_FREE_DISK_MB:,}.",
            "Make room: old backups and logs first; DEVICES__HISTORY_DAYS says what is kept.",
        )
        return
    if connection.vendor == "sqlite":
        size_mb = Path(connection.settings_dict["NAME"]).stat().st_size // MB
        if free_mb < 2 * size_mb:
            yield warning(
                "disk",
                f"{free_mb:,} MB are free; the database has {size_mb:,} MB and a backup as many.",
                "Make room, or let backups go elsewhere: BACKUP__FOLDER",
            )
            return
    yield ok("disk", f"{free_mb:,} MB are free.")


def look_at_worker() -> Iterator[Finding]:
    """Whether the work is done that comes round every few seconds."""
    if is_read_only():
        yield warning(
            "worker",
            "Nothing is done in read-only mode.",
            "When the move is over, take MAINTENANCE__READ_ONLY out and restart.",
        )
        return
    states = sweep_states(timezone.now())
    if len(states) > 1 and all(state.is_overdue and not state.last_error for state in states):
        ages = [state.age_seconds for state in states if state.age_seconds is not None]
        since = f"for {_age(min(ages))}" if ages else "yet"
        yield problem(
            "worker",
            f"No sweep has run {since}: there is no worker.",
            "Start it, or look at its log: python manage.py run_worker",
        )
        return
    for state in states:
        name = state.name.rpartition(".")[2]
        if state.last_error:
            yield problem(
                "worker",
                f"{name} fails: {state.last_error.splitlines()[0]}",
                "The worker's log has the whole story; the line before this may be the cause.",
            )
        elif state.is_overdue and state.age_seconds is None:
            yield problem("worker", f"{name} has never run.", "Run: python manage.py run_worker")
        elif state.is_overdue:
            yield problem(
                "worker",
                f"{name} last ran {_age(state.age_seconds or 0)} ago.",
                "Start the worker, or look at its log: python manage.py run_worker",
            )
    if not any(state.is_overdue or state.last_error for state in states):
        yield ok("worker", f"All {len(states)} sweeps ran in time.")


def look_at_web() -> Iterator[Finding]:
    """Whether some web process is there for devices to speak to."""
    beat_at = ServicePulse.objects.values_list("beat_at", flat=True).first()
    if beat_at is None:
        yield warning("web", "No web process was ever here.", "Run: python manage.py serve")
    elif timezone.now() - beat_at > WEB_IS_SILENT:
        age = _age((timezone.now() - beat_at).total_seconds())
        yield warning(
            "web",
            f"The last sign of a web process is {age} old.",
            "Start it, or look at its log: python manage.py serve",
        )
    else:
        yield ok("web", "It was alive a moment ago.")


def look_at_backups() -> Iterator[Finding]:
    """Whether there is something to go back to."""
    folder = settings.BACKUP_FOLDER
    backups = list_backups(folder, prefix=ASKED_FOR)
    mend = "Run, every night by a timer: python manage.py backup --keep 14"
    if not backups:
        yield warning("backups", f"There is none in {folder}.", mend)
        return
    seconds = time.time() - backups[-1].stat().st_mtime
    if seconds > BACKUP_IS_OLD.total_seconds():
        yield warning("backups", f"The newest in {folder} is {_age(seconds)} old.", mend)
    else:
        yield ok("backups", f"The newest is {_age(seconds)} old.")


def _age(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
