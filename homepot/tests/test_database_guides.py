"""docs/backup-and-restore.md and docs/postgresql.md, as written."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from homepot.backups.programs import find_program
from homepot.testing.guides import ROOT, run_shell, shell_of
from homepot.testing.project import copy_project
from homepot.tests.conftest import new_database
from homepot.transfer.databases import database
from homepot.transfer.digest import table_digests

pytestmark = pytest.mark.django_db
is_sqlite = "sqlite" in settings.DATABASES["default"]["ENGINE"]
on_postgresql = pytest.mark.skipif(is_sqlite, reason="is about PostgreSQL")


@pytest.fixture
def project(tmp_path):
    return copy_project(tmp_path / "project")


def type_in(script, folder, **environment):
    """Run `script`, with the programs that fit this run's server first on PATH."""
    path = [str(folder / ".venv" / "bin"), os.environ["PATH"]]
    if not is_sqlite:
        version = connection.pg_version // 10000
        path.insert(1, str(Path(find_program("pg_dump", version=version)).parent))
    ran = run_shell(script, folder=folder, PATH=os.pathsep.join(path), **environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def with_name(url, name):
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@pytest.mark.skipif(not is_sqlite, reason="is about SQLite")
def test_first_backup_and_restore_on_sqlite(project, migrated_database_url):
    (project / "data").mkdir()
    shutil.copy(migrated_database_url.removeprefix("sqlite:///"), project / "data" / "homepot.db")
    said = type_in(
        shell_of("docs/backup-and-restore.md#a-first-backup")
        + shell_of("docs/backup-and-restore.md#restore"),
        project,
    )
    assert "Every table came back as it was backed up." in said
    assert "All digests are equal." in said
    assert (project / "data" / "restored.db").exists()


@on_postgresql
def test_first_backup_and_plain_dump_on_postgresql(project, migrated_database_url):
    copy_url = with_name(migrated_database_url, f"test_{secrets.token_hex(6)}")
    name = urlsplit(copy_url).path[1:]
    guide = "docs/backup-and-restore.md"
    script = (
        "python manage.py loaddata seed\n"
        + shell_of("docs/backup-and-restore.md#a-first-backup")
        + shell_of("docs/backup-and-restore.md#pg_dump-and-psql").replace("homepot_copy", name)
    )
    assert name in script, guide
    try:
        said = type_in(script, project, DATABASE__URL=migrated_database_url, COPY_URL=copy_url)
        assert "Every table came back as it was backed up." in said
        assert "TABLE DATA public sites" in (project / "contents.txt").read_text()
        with database(copy_url) as copy, database(migrated_database_url) as original:
            digests = table_digests(copy)
            assert digests == table_digests(original)
        assert digests["sites"].rows == 3
    finally:
        with psycopg.connect(os.environ["DATABASE__URL"], autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name}")


@on_postgresql
@pytest.mark.slow
def test_script_and_second_role(project):
    server = urlsplit(os.environ["DATABASE__URL"])
    name = f"test_{secrets.token_hex(6)}"
    service = f"{name}_service"
    try:
        type_in(
            re.sub(
                r"\bshop\b",
                name,
                shell_of("docs/postgresql.md#with-the-script")
                + shell_of("docs/postgresql.md#a-second-role-for-the-service")
                + 'DATABASE__URL=$(sed -n "s/^DATABASE__URL=//p" .env)\n'
                + shell_of("docs/postgresql.md#by-hand")
                + "DIRECT_URL=$DATABASE__URL\n"
                + shell_of("docs/postgresql.md#pgbouncer"),
            ).replace("shop_service", service),
            project,
            SERVER=server.hostname or parse_qs(server.query)["host"][0],
            PGPASSWORD=server.password or "",
            PGPORT=str(server.port or 5432),
        )
        url = re.search(r"^DATABASE__URL=(.*)$", (project / ".env").read_text(), re.MULTILINE)[1]
        with psycopg.connect(url) as limited:
            assert limited.execute("SELECT current_user").fetchone() == (service,)
            assert limited.execute("SHOW lock_timeout").fetchone() == ("5s",)
    finally:
        with psycopg.connect(server.geturl(), autocommit=True) as cleaner:
            cleaner.execute(f"DROP DATABASE IF EXISTS {name}")
            cleaner.execute(f"DROP ROLE IF EXISTS {name}, {service}")


def rows_of_settings():
    text = (ROOT / "docs" / "postgresql.md").read_text()
    table = text.partition("## Settings of the server")[2].partition("\n## ")[0]
    return re.findall(r"^\| (\w+) \| (\S+) \| (\S+) \| (\S+) \|$", table, re.MULTILINE)


@on_postgresql
def test_settings_of_the_server_are_good_ones():
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, vartype, unit FROM pg_settings")
        known = {name: (kind, unit) for name, kind, unit in cursor.fetchall()}
        rows = [row for row in rows_of_settings() if row[0] != "setting"]
        assert len(rows) > 10
        for name, *values in rows:
            kind, unit = known[name]
            for value in values:
                if kind == "bool" or kind == "enum":
                    assert value == "on"
                elif unit in ("8kB", "kB", "MB"):
                    cursor.execute("SELECT pg_size_bytes(%s) > 0", [value])
                elif unit in ("ms", "s"):
                    cursor.execute("SELECT %s::interval > interval '0'", [value])
                else:
                    float(value)


def test_worker_stays_within_the_connections_that_the_guide_counts():
    text = (ROOT / "docs" / "postgresql.md").read_text()
    counted = int(re.search(r"\+ workers x (\d+)", text)[1])
    # Each sweep, the pulse, and the scheduler's own.
    assert len(settings.SWEEPS) + 2 <= counted


@on_postgresql
def test_moving_and_rolling_back(project, tmp_path):
    """From the demo on SQLite to PostgreSQL, verified, and back."""
    guide = "docs/moving-to-postgresql.md"
    with new_database(tmp_path) as target, new_database(tmp_path) as resumed:
        said = type_in(
            "python manage.py migrate --verbosity 0\npython manage.py loaddata seed\n"
            + shell_of("docs/moving-to-postgresql.md#a-rehearsal")
            + shell_of("docs/moving-to-postgresql.md#the-move")
            + shell_of("docs/moving-to-postgresql.md#verifying")
            + shell_of("docs/moving-to-postgresql.md#rolling-back"),
            project,
            TARGET_URL=target,
            BACK_URL="sqlite:///data/back.db",
        )
        assert said.count("Both hold the same.") == 4, guide
        assert json.loads((project / "moved.json").read_text())["is_equal"]
        said = type_in(
            shell_of("docs/moving-to-postgresql.md#when-it-is-broken-off"),
            project,
            TARGET_URL=resumed,
        )
        assert said.count("Both hold the same.") == 1
        with database(resumed) as copied:
            assert table_digests(copied)["devices"].rows == 12
