"""What brings backups back, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from audit import triggers
from homepot.backups import files
from homepot.backups.files import list_backups
from homepot.models import ServicePulse
from homepot.tests.installations import run, url_of
from homepot.transfer.databases import connected
from sites.models import Site

pytestmark = pytest.mark.django_db


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
