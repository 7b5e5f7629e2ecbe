"""Show that the newest backup can be restored."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from homepot.backups.drill import scratch_database
from homepot.backups.errors import BackupError
from homepot.backups.files import list_backups, read_backup
from homepot.backups.making import ASKED_FOR
from homepot.backups.restoring import restore


class Command(BaseCommand):
    help = (
        "Restore the newest backup into a scratch database, compare every table with what was "
        "backed up, and remove the scratch database. Ends with status 1 unless all is equal."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from",
            type=Path,
            default=settings.BACKUP_FOLDER,
            dest="folder",
            metavar="FOLDER",
            help="default: %(default)s",
        )
        parser.add_argument(
            "--max-age-hours",
            type=float,
            metavar="H",
            help="fail also when the newest backup is older than this",
        )
        parser.add_argument(
            "--into",
            metavar="URL",
            help="an empty PostgreSQL database to use, and to empty again, where the role may "
            "not make one",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Ends as Ctrl-C does, with the scratch database removed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        backups = list_backups(options["folder"], prefix=ASKED_FOR)
        if not backups:
            raise CommandError(f"There is no backup in {options['folder']}.")
        try:
            backup = read_backup(backups[-1])
            age = timezone.now() - backup.manifest.made_at
            self.stdout.write(f"{backup.data}, {age / timedelta(hours=1):,.1f} hours old")
            with scratch_database(backup, options["into"]) as scratch:
                restore(backup, scratch)
        except BackupError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from None
        width = max(map(len, backup.manifest.tables))
        for name, table in sorted(backup.manifest.tables.items()):
            self.stdout.write(f"  {name:{width}}  {table.rows:>13,} rows  {table.digest}  equal")
        self.stdout.write("Every table came back as it was backed up.")
        if options["max_age_hours"] is not None and age > timedelta(hours=options["max_age_hours"]):
            raise CommandError(
                f"The newest backup is {age / timedelta(hours=1):,.1f} hours old: look why there "
                "is no newer one."
            )
