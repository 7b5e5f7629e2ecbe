"""Remove old rows of the audit log: the only way in which any leaves."""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date

from audit import services


class Command(BaseCommand):
    help = (
        "Remove the rows of the audit log that were made before a day. One row stays that says "
        "who removed how many. Export them first if they may be needed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--before", required=True, metavar="DATE", help="the first day to keep, 2026-01-31, UTC"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        removed = 0
        for step in services.prune(
            before=midnight(options["before"]),
            actor=None,
            metadata={"run_by": f"{system_user()}@{socket.gethostname()}"},
        ):
            removed += step
            if options["verbosity"] > 1:
                self.stdout.write(f"{removed} rows so far")
        self.stdout.write(f"Removed {removed} rows made before {options['before']}.")


def midnight(text: str) -> datetime:
    """The beginning of a day in UTC; raises CommandError unless it lies in the past."""
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise CommandError(f"{text!r} is no day; write it as 2026-01-31.")
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if moment > timezone.now():
        raise CommandError(f"{text} lies in the future.")
    return moment


def system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # containers may run as a number that has no name
        return str(os.getuid())
