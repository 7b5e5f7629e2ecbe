"""Back the database up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from homepot.backups.errors import BackupError
from homepot.backups.files import prune
from homepot.backups.making import ASKED_FOR, make_backup


class Command(BaseCommand):
    help = (
        "Back the database up while the service goes on: the data, a manifest with a digest of "
        "each table, and checksums. Only backups that are whole get their name."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to",
            type=Path,
            default=settings.BACKUP_FOLDER,
            metavar="FOLDER",
            help="default: %(default)s",
        )
        parser.add_argument(
            "--keep",
            type=int,
            metavar="N",
            help="delete all but the newest N backups of this folder, once this one is whole",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["keep"] is not None and options["keep"] < 1:
            raise CommandError("--keep is 1 or more.")
        try:
            backup = make_backup(settings.OWNER_DATABASE, options["to"])
            pruned = (
                prune(options["to"], prefix=ASKED_FOR, keep=options["keep"])
                if options["keep"]
                else []
            )
        except BackupError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from None
        self.stdout.write(
            f"Backed up {len(backup.manifest.tables)} tables with {backup.manifest.rows:,} rows "
            f"to {backup.data} ({backup.data.stat().st_size / 1e6:,.1f} MB)."
        )
        if pruned:
            self.stdout.write(f"Deleted {len(pruned)} older backups.")
