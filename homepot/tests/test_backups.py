"""Backups and what restores them, on databases of their own."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import threading
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from audit import triggers
from homepot.backups import files, making, postgresql, programs
from homepot.backups.errors import BackupError
from homepot.backups.files import list_backups
from homepot.backups.restoring import restore
from homepot.models import ServicePulse
from homepot.tests.conftest import new_database
from homepot.transfer.databases import connected, options_of
from homepot.transfer.digest import table_digests
from sites.models import Site

pytestmark = pytest.mark.django_db


class Installation:
    """A database with a few rows, and its folder of backups."""

    def __init__(self, url, folder):
        self.options = options_of(url)
        self.folder = folder
        self.add_site("site-1")

    @property
    def name(self):
        return self.options["NAME"].rpartition("/")[2]

    def add_site(self, site_id):
        with connected(self.options) as database:
            Site.objects.using(database.alias).create(site_id=site_id, name="Café \U0001f600")

    def digests(self, options=None):
        with connected(options or self.options) as database:
            return table_digests(database)

    def back_up(self, *arguments):
        """The data file of a new backup."""
        run("backup", *arguments)
        return list_backups(self.folder, prefix="homepot")[-1]


def run(*arguments):
    """What a command says."""
    said = StringIO()
    call_command(*arguments, stdout=said)
    return said.getvalue()


@pytest.fixture
def installation(migrated_database_url, tmp_path, settings):
    settings.BACKUP_FOLDER = tmp_path / "backups"
    # Nobody waits long to see that no service is there.
    settings.PULSE_SECONDS = 0.02
    found = Installation(migrated_database_url, settings.BACKUP_FOLDER)
    settings.OWNER_DATABASE = found.options
    return found


@pytest.fixture
def empty(tmp_path):
    """Options of a database without tables."""
    with new_database(tmp_path) as url:
        yield options_of(url)


@pytest.fixture
def type_in(monkeypatch):
    """`type_in("homepot.db")` answers what a command asks."""

    def answer(text):
        monkeypatch.setattr("builtins.input", lambda: text)

    return answer


def url_of(options):
    if connection.vendor == "sqlite":
        return f"sqlite:///{options['NAME']}"
    server = os.environ["DATABASE__URL"].partition("?")
    return f"{server[0].rpartition('/')[0]}/{options['NAME']}{server[1]}{server[2]}"


def test_restored_database_is_the_one_that_was_backed_up(installation, empty):
    data = installation.back_up()
    said = run("restore", str(data), "--into", url_of(empty))
    assert "All digests are equal." in said
    assert "migrate" not in said
    assert installation.digests(empty) == installation.digests()
    with connected(empty) as database:
        assert triggers.missing(database) == []
        Site.objects.using(database.alias).create(site_id="site-2", name="Next in its sequence")
    for path in (data, data.with_suffix(".json"), data.with_suffix(".sha256")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    summed = subprocess.run(
        ["sha256sum", "--check", "--strict", data.with_suffix(".sha256").name], cwd=data.parent
    )
    assert summed.returncode == 0


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


def cut_off(data):
    os.truncate(data, data.stat().st_size - 100)


def alter_a_byte(data):
    with data.open("rb+") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))


def cut_off_manifest(data):
    os.truncate(data.with_suffix(".json"), 100)


def lose_checksums(data):
    data.with_suffix(".sha256").unlink()


def rewrite_manifest(data, change):
    """Change the manifest, and the checksums with it."""
    path = data.with_suffix(".json")
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    sums = [f"{files._digest(file)}  {file.name}\n" for file in (data, path)]
    data.with_suffix(".sha256").write_text("".join(sums))


def expect_another_row(data):
    rewrite_manifest(data, lambda manifest: manifest["tables"]["sites"].update(rows=7))


def expect_another_migration(data):
    rewrite_manifest(data, lambda manifest: manifest["migrations"].pop())


def come_from_the_future(data):
    rewrite_manifest(data, lambda manifest: manifest["migrations"].append("sites.0099_move"))


def be_of_another_format(data):
    rewrite_manifest(data, lambda manifest: manifest.update(format=99))


def be_of_another_engine(data):
    other = {"sqlite": "postgresql", "postgresql": "sqlite"}[connection.vendor]
    rewrite_manifest(data, lambda manifest: manifest.update(engine=other))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_off, "is not what was backed up: its checksum"),
        (alter_a_byte, "is not what was backed up: its checksum"),
        (cut_off_manifest, "is not what was backed up: its checksum"),
        (lose_checksums, r"There is no .*\.sha256"),
        (expect_another_row, "these tables differ: sites"),
        (expect_another_migration, "these tables differ: django_migrations"),
        (come_from_the_future, "does not have: sites.0099_move. Restore it with that version"),
        (be_of_another_format, "is no manifest of this version"),
        (be_of_another_engine, "Restore it to its own kind"),
    ],
)
def test_damaged_backup_is_refused_and_nothing_changes(installation, type_in, damage, words):
    data = installation.back_up()
    installation.add_site("site-after")
    before = installation.digests()
    damage(data)
    type_in(installation.name)
    with pytest.raises(CommandError, match=words):
        run("restore", str(data), "--replace", "--no-backup")
    assert installation.digests() == before
    if connection.vendor == "sqlite":
        folder = os.path.dirname(installation.options["NAME"])
        assert [name for name in os.listdir(folder) if "restoring" in name] == []


def test_data_is_replaced_when_its_name_was_typed_only(installation, type_in):
    data = installation.back_up()
    backed_up = installation.digests()
    installation.add_site("site-after")
    before = installation.digests()
    with pytest.raises(CommandError, match="holds data, which a backup replaces as a whole"):
        run("restore", str(data))
    type_in("yes")
    with pytest.raises(CommandError, match="That is not its name"):
        run("restore", str(data), "--replace")
    assert installation.digests() == before

    type_in(installation.name)
    run("restore", str(data), "--replace")

    assert installation.digests() == backed_up
    (kept,) = list_backups(installation.folder, prefix="before-restore")
    type_in(installation.name)
    run("restore", str(kept), "--replace", "--no-backup")
    assert installation.digests() == before


def test_database_in_use_is_not_replaced(installation, type_in):
    data = installation.back_up()
    before = installation.digests()
    type_in(installation.name)
    with connected(installation.options) as server:
        with server.cursor() as cursor:
            cursor.execute("SELECT 1 FROM sites")
        with pytest.raises(CommandError, match="stop the service and its workers first"):
            run("restore", str(data), "--replace", "--no-backup")
    assert installation.digests() == before


def test_database_of_a_service_that_beats_is_not_replaced(
    installation, type_in, monkeypatch, settings
):
    settings.PULSE_SECONDS = 5
    data = installation.back_up()
    type_in(installation.name)

    def beat(seconds=0):
        with connected(installation.options) as server:
            pulses = ServicePulse.objects.using(server.alias)
            pulses.update_or_create(pk=1, defaults={"beat_at": timezone.now()})

    beat()
    before = installation.digests()["sites"]
    monkeypatch.setattr("homepot.backups.restoring.time.sleep", beat)
    with pytest.raises(CommandError, match="is running on it"):
        run("restore", str(data), "--replace")
    assert installation.digests()["sites"] == before
    # Nothing was made in vain.
    assert list_backups(installation.folder, prefix="before-restore") == []
    # One that was stopped a moment ago is soon out of the way.
    monkeypatch.undo()
    settings.PULSE_SECONDS = 0.1
    type_in(installation.name)
    beat()
    run("restore", str(data), "--replace", "--no-backup")


def test_tables_of_another_program_are_in_the_way(installation, empty):
    data = installation.back_up()
    with connected(empty) as database, database.cursor() as cursor:
        cursor.execute("CREATE TABLE notes (id integer)")
    with pytest.raises(CommandError, match="tables of another program"):
        run("restore", str(data), "--into", url_of(empty), "--replace")


def test_backup_of_an_older_state_comes_back_and_asks_for_migrate(installation, empty):
    with connected(installation.options) as database:
        call_command("migrate", "homepot", "0001", database=database.alias, verbosity=0)
    data = installation.back_up()
    said = run("restore", str(data), "--into", url_of(empty))
    assert re.search(r"migrations to apply: \d\)\. Run `python manage.py migrate`", said)
    with connected(empty) as database:
        call_command("migrate", database=database.alias, verbosity=0)
    assert installation.digests(empty)["sites"].rows == 1


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


def databases_of_the_server():
    if connection.vendor == "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database ORDER BY datname")
        return cursor.fetchall()


def test_drill_restores_compares_and_cleans_up(installation, tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    with pytest.raises(CommandError, match="There is no backup in"):
        run("restore_drill")
    data = installation.back_up()
    databases = databases_of_the_server()

    said = run("restore_drill")

    assert "Every table came back as it was backed up." in said
    assert "sites" in said
    with pytest.raises(CommandError, match="hours old: look why"):
        run("restore_drill", "--max-age-hours", "0")
    expect_another_row(data)
    with pytest.raises(CommandError, match="these tables differ: sites"):
        run("restore_drill")
    cut_off(data)
    with pytest.raises(CommandError, match="its checksum is not"):
        run("restore_drill")
    assert databases_of_the_server() == databases
    assert os.listdir(tmp_path / "scratch") == []


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no roles")
def test_drill_uses_a_given_database_and_empties_it_again(installation, empty):
    installation.back_up()
    for _ in range(2):
        run("restore_drill", "--into", url_of(empty))
    with connected(empty) as database:
        assert database.introspection.table_names() == []
    with pytest.raises(CommandError, match="is not empty, and the drill would empty it"):
        run("restore_drill", "--into", url_of(installation.options))


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
