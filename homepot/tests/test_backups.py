"""Backups and what restores them, on databases of their own."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from homepot.backups import making, postgresql, programs
from homepot.backups.errors import BackupError
from homepot.backups.files import list_backups
from homepot.backups.restoring import restore
from homepot.tests.installations import run
from homepot.transfer.databases import connected, options_of
from homepot.transfer.digest import table_digests

pytestmark = pytest.mark.django_db


def test_backup_is_of_one_moment(installation, empty, monkeypatch):
    """What is written while it is made is in neither the data nor the digests."""

    def write_first(*arguments):
        writer = threading.Thread(target=installation.add_site, args=["site-meanwhile"])
        writer.start()
        writer.join()
        return table_digests(*arguments)

    monkeypatch.setattr(making, "table_digests", write_first)
    backup = making.make_backup(installation.options, installation.folder)
    restore(backup, empty)
    assert installation.digests()["sites"].rows == 2
    assert installation.digests(empty)["sites"].rows == backup.manifest.tables["sites"].rows == 1


def test_older_backups_go_only_when_a_new_one_is_whole(installation, empty, settings):
    first, second = installation.back_up(), installation.back_up()
    settings.OWNER_DATABASE = empty
    with pytest.raises(CommandError, match="has no tables of HOMEPOT"):
        run("backup", "--keep", "1")
    assert list_backups(installation.folder, prefix="homepot") == [first, second]
    settings.OWNER_DATABASE = installation.options
    # What a killed run leaves, long ago and now, and a backup that lacks its checksums.
    rubbish = installation.folder / "homepot-20260131T080000Z.dump.partial"
    rubbish.touch()
    os.utime(rubbish, (0, 0))
    under_way = installation.folder / "homepot-20260131T080001Z.dump.partial"
    under_way.touch()
    second.with_suffix(".sha256").unlink()

    third = installation.back_up("--keep", "1")

    assert list_backups(installation.folder, prefix="homepot") == [third]
    assert not first.exists()
    assert second.exists()
    assert (rubbish.exists(), under_way.exists()) == (False, True)


def test_migrate_backs_up_sqlite_when_something_is_pending(installation, empty, monkeypatch):
    def made():
        return len(list_backups(installation.folder, prefix="before-migrate"))

    each = int(connection.vendor == "sqlite")
    with connected(empty) as database:  # nobody would miss anything
        call_command("migrate", "sites", database=database.alias, verbosity=0)
    assert made() == 0
    with connected(installation.options) as database:
        said = run("migrate", "homepot", "0001", f"--database={database.alias}")
        assert made() == said.count("`restore` brings it back") == each
        run("migrate", f"--database={database.alias}")
        run("migrate", f"--database={database.alias}")
        assert made() == 2 * each
        if each:

            def fail(*arguments, **options):
                raise BackupError("The disk is full.")

            monkeypatch.setattr("homepot.management.commands.migrate.make_backup", fail)
            with pytest.raises(CommandError, match=r"The disk is full.*so nothing was migrated"):
                run("migrate", "homepot", "0001", f"--database={database.alias}")
        assert "sweeps" in connections[database.alias].introspection.table_names()
        run("migrate", "homepot", "0001", f"--database={database.alias}", "--no-backup")


def test_program_is_of_the_servers_version_or_the_next(tmp_path, monkeypatch):
    for version in (14, 16, 17):
        folder = tmp_path / str(version)
        folder.mkdir()
        program = folder / "pg_dump"
        program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}.2 (Debian)'\n")
        program.chmod(0o755)
    monkeypatch.setattr(programs, "_FOLDERS", (f"{tmp_path}/*",))
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    monkeypatch.setenv(
        "PATH", "/usr/bin" if not os.path.exists("/usr/bin/pg_dump") else "/bin/none"
    )
    chosen = {
        version: programs.find_program("pg_dump", version=version) for version in (13, 14, 15, 17)
    }
    assert chosen == {
        13: str(tmp_path / "14" / "pg_dump"),
        14: str(tmp_path / "14" / "pg_dump"),
        15: str(tmp_path / "16" / "pg_dump"),
        17: str(tmp_path / "17" / "pg_dump"),
    }
    with pytest.raises(BackupError, match=r"PostgreSQL 18 or newer is needed.*pg_dump is 17"):
        programs.find_program("pg_dump", version=18)


def test_password_is_no_argument(monkeypatch):
    options = options_of("postgresql://till:p%27w@db:5433/home%20pot?sslmode=require")
    parameters = options["OPTIONS"] | {
        "host": "db",
        "port": 5433,
        "user": "till",
        "dbname": "home pot",
        "password": "p'w",
    }
    database = SimpleNamespace(get_connection_params=lambda: parameters)
    where, environment = postgresql._connection_of(database)
    assert environment["PGPASSWORD"] == "p'w"
    assert "p'w" not in where
    assert "sslmode=require" in where
    assert "dbname='home pot'" in where
    assert "lock_timeout" not in where
