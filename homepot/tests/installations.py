"""An installation of its own for tests of what is done to a whole database."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection

from homepot.backups.files import list_backups
from homepot.transfer.databases import connected, options_of
from homepot.transfer.digest import TableDigest, table_digests
from sites.models import Site


class Installation:
    """A database with a few rows, and its folder of backups."""

    def __init__(self, url: str, folder: Path) -> None:
        self.options = options_of(url)
        self.folder = folder
        self.add_site("site-1")

    @property
    def name(self) -> str:
        """What has to be typed to replace it."""
        return str(self.options["NAME"]).rpartition("/")[2]

    def add_site(self, site_id: str) -> None:
        with connected(self.options) as database:
            Site.objects.using(database.alias).create(site_id=site_id, name="Café \U0001f600")

    def digests(self, options: dict[str, Any] | None = None) -> dict[str, TableDigest]:
        with connected(options or self.options) as database:
            return table_digests(database)

    def back_up(self, *arguments: str) -> Path:
        """The data file of a new backup."""
        run("backup", *arguments)
        return list_backups(self.folder, prefix="homepot")[-1]


def run(*arguments: str) -> str:
    """What a command says."""
    said = StringIO()
    call_command(*arguments, stdout=said)
    return said.getvalue()


def url_of(options: dict[str, Any]) -> str:
    if connection.vendor == "sqlite":
        return f"sqlite:///{options['NAME']}"
    server = os.environ["DATABASE__URL"].partition("?")
    return f"{server[0].rpartition('/')[0]}/{options['NAME']}{server[1]}{server[2]}"
