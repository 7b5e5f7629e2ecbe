"""Bring the data of the original product along."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from homepot.management.commands.serve import check_migrations_applied
from jobs.original import DERIVED, Import
from jobs.original_source import original


class Command(BaseCommand):
    help = (
        "Bring sites, devices, jobs, health checks, audit logs and users (inactive, without "
        "passwords) from a database of the original HOMEPOT. Adds what is missing, so that it can "
        "run again, and tells what was left out and why."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="url", metavar="URL", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        check_migrations_applied()
        try:
            with original(options["url"]) as source:
                done = Import(source)
                done.run()
        except ImproperlyConfigured as error:
            raise CommandError(str(error).replace("DATABASE__URL", "--from")) from None
        except (sqlite3.Error, psycopg.Error) as error:
            raise CommandError(f"The original cannot be read: {error}") from None
        for table in DERIVED:
            self.stdout.write(
                f"{table}: {done.added[table]:,} added, {done.known[table]:,} were there already"
            )
            for (of, reason), count in sorted(done.left_out.items()):
                if of == table:
                    self.stdout.write(f"  {count:,} left out: {reason}")
            if unknown := done.unknown_columns.get(table):
                self.stdout.write(f"  columns left out: {', '.join(unknown)}")
