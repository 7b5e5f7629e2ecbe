"""Put a backup back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from homepot.backups.errors import BackupError
from homepot.backups.files import prune, read_backup
from homepot.backups.making import BEFORE_RESTORE, make_backup
from homepot.backups.restoring import check_fits, is_in_use, require_quiet, restore
from homepot.database import describe_database
from homepot.transfer.databases import options_of

KEPT_BEFORE_RESTORE = 3


class Command(BaseCommand):
    help = (
        "Put a backup back into an empty database, after a look at every byte of it, and compare "
        "what is there then with what was backed up. Nothing changes unless all is equal."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the .sqlite3 or .dump file of a backup")
        parser.add_argument(
            "--into", metavar="URL", help="default: the database of DATABASE__URL, as its owner"
        )
        parser.add_argument(
            "--replace",
            action="store_true",
            help="also into a database with data, after its name was typed; what it holds is "
            "backed up first",
        )
        parser.add_argument(
            "--no-backup", action="store_true", help="do not back up what --replace replaces"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        target = options_of(options["into"]) if options["into"] else settings.OWNER_DATABASE
        described = describe_database(target)
        try:
            backup = read_backup(options["file"])
            check_fits(backup, target)
            if is_in_use(target):
                if not options["replace"]:
                    raise CommandError(
                        f"The {described} holds data, which a backup replaces as a whole: add "
                        "--replace, or name an empty database with --into."
                    )
                self.confirm(Path(target["NAME"]).name, described)
                self.stdout.write("Making sure that no service is running.")
                require_quiet(target)
                if not options["no_backup"]:
                    self.back_up(target)
            state = restore(backup, target)
        except BackupError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from None
        self.stdout.write(
            f"Restored {len(backup.manifest.tables)} tables with {backup.manifest.rows:,} rows, "
            f"as they were on {backup.manifest.made_at:%Y-%m-%d at %H:%M:%S} UTC, to the "
            f"{described}. All digests are equal."
        )
        if state.pending:
            self.stdout.write(
                f"The backup is older than this version (migrations to apply: {state.pending}). "
                "Run `python manage.py migrate` before the service starts."
            )

    def confirm(self, name: str, described: str) -> None:
        self.stdout.write(f"This replaces everything in the {described}.")
        self.stdout.write("Type its name to go on: ", ending="")
        self.stdout.flush()
        try:
            typed = input()
        except EOFError:
            typed = ""
        if typed != name:
            raise CommandError(f"That is not its name, {name}. Nothing was changed.")

    def back_up(self, target: dict[str, Any]) -> None:
        before = make_backup(target, settings.BACKUP_FOLDER, prefix=BEFORE_RESTORE)
        prune(settings.BACKUP_FOLDER, prefix=BEFORE_RESTORE, keep=KEPT_BEFORE_RESTORE)
        self.stdout.write(f"What is there now is kept in {before.data}.")
