"""What keeps a copy from being begun, and that nothing has happened then."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import CommandError
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from devices.models import HealthCheck
from homepot.management.commands import serve
from homepot.transfer import plans
from homepot.transfer.databases import database
from homepot.transfer.notes import Beginning, begin

pytestmark = pytest.mark.django_db


def without_a_migration(url: str) -> str:
    with database(url) as found:
        MigrationRecorder(found).record_unapplied("sites", "0001_initial")
    return url


def with_a_newer_migration(url: str) -> str:
    with database(url) as found:
        MigrationRecorder(found).record_applied("sites", "0099_of_the_future")
    return url


def of_another_program(url: str) -> str:
    with database(url) as found, found.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations")
    return url


def with_an_unfinished_copy(url: str) -> str:
    with database(url) as found:
        begin(found, Beginning("SQLite database /elsewhere.db", is_resumable=True), [])
    return url


def as_it_is(url: str) -> str:
    return url


@pytest.mark.parametrize(
    ("source_is", "target_is", "options", "words"),
    [
        (without_a_migration, as_it_is, (), "is not up to date (migrations to apply: 1)"),
        (
            with_a_newer_migration,
            as_it_is,
            (),
            "newer version of HOMEPOT (sites.0099_of_the_future)",
        ),
        (of_another_program, as_it_is, (), "holds tables of another program"),
        (as_it_is, with_a_newer_migration, (), "newer version of HOMEPOT"),
        (as_it_is, of_another_program, ("--replace", "--no-input"), "tables of another program"),
        (as_it_is, with_an_unfinished_copy, (), "Use --resume to go on with it"),
        (as_it_is, with_an_unfinished_copy, ("--resume",), "Use --replace to start over"),
        (as_it_is, without_a_migration, ("--verify-only",), "is not up to date"),
    ],
)
def test_state_of_a_database_refuses(
    copy, filled_url, migrated_database_url, source_is, target_is, options, words
):
    source, target = source_is(filled_url), target_is(migrated_database_url)
    told = copy(source, target, *options)
    assert (told.status, told.report["refused"]) == (2, told.said.split("\n", 2)[-1])
    assert words in told.said
    with database(target) as found:
        assert not HealthCheck.objects.using(found.alias).exists()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("oracle://host/name", "--to starts with 'oracle'"),
        ("sqlite://", "--to names no SQLite file"),
        ("sqlite:////nowhere/at/all.db", "the folder /nowhere/at does not exist"),
        ("postgresql://ann:secret@127.0.0.1:1/name", "Cannot connect to the PostgreSQL database"),
    ],
)
def test_target_that_cannot_be_reached_is_told(copy, filled_url, target, words):
    told = copy(filled_url, target)
    assert told.status == 2
    assert words in told.said
    assert "secret" not in told.said


def test_source_that_is_not_there_is_not_made(copy, migrated_database_url, tmp_path):
    told = copy(f"sqlite:///{tmp_path / 'none.db'}", migrated_database_url)
    assert (told.status, told.said) == (2, f"There is no file {tmp_path / 'none.db'}.")
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).close()
    assert "holds no tables of HOMEPOT" in copy(f"sqlite:///{empty}", migrated_database_url).said


def test_database_is_not_copied_into_itself(copy, migrated_database_url):
    told = copy(migrated_database_url, migrated_database_url)
    assert (told.status, told.said.startswith("Both are the")) == (2, True)


def test_full_disk_is_told_before_it_is_full(copy, filled_url, migrated_database_url, monkeypatch):
    monkeypatch.setattr(plans.targets, "free_bytes", lambda connection: 1_000)
    assert "of disk left and may need" in copy(filled_url, migrated_database_url).said


def test_rows_without_a_place_are_told_with_table_and_id(copy, filled_url, migrated_database_url):
    with database(filled_url) as source, source.cursor() as cursor:
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute("UPDATE health_checks SET device_id = 99 WHERE id IN (3, 5)")
    told = copy(filled_url, migrated_database_url)
    assert told.status == 2
    assert (
        "health_checks.device_id: 2 rows refer to rows of devices that are not there: 3, 5"
        in told.said
    )
    assert told.report["problems"][0]["keys"] == ["3", "5"]


def test_database_in_use_is_not_filled(copy, filled_url, migrated_database_url):
    with database(migrated_database_url) as busy, busy.cursor() as cursor:
        if busy.vendor == "sqlite":
            cursor.execute("BEGIN IMMEDIATE")
        else:
            cursor.execute("SELECT pg_advisory_lock(%s)", [plans.targets.LOCK])
        told = copy(filled_url, migrated_database_url)
    assert told.status == 2
    assert "is in use" in told.said


@pytest.fixture
def on_postgresql(migrated_database_url: str) -> Callable[..., str]:
    """`on_postgresql(statement, ...)` runs statements there; skips the test on SQLite."""
    if connection.vendor == "sqlite":
        pytest.skip("about PostgreSQL")

    def run(*statements: str) -> str:
        with psycopg.connect(migrated_database_url, autocommit=True) as server:
            for statement in statements:
                server.execute(statement)
        return migrated_database_url

    return run


def test_target_of_somebody_else_is_told(copy, filled_url, on_postgresql):
    role = "homepot_test_guest"
    url = on_postgresql(
        f"DROP ROLE IF EXISTS {role}",
        f"CREATE ROLE {role} LOGIN",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
    )
    parts = urlsplit(url)
    guest = parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()
    told = copy(filled_url, guest)
    on_postgresql(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert told.status == 2
    assert "this user does not own audit_logs" in told.said


def test_target_in_another_encoding_is_told(copy, filled_url, on_postgresql):
    url = on_postgresql(
        "DROP DATABASE IF EXISTS test_ascii",
        "CREATE DATABASE test_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0",
    )
    told = copy(filled_url, urlsplit(url)._replace(path="/test_ascii").geturl())
    on_postgresql("DROP DATABASE test_ascii")
    assert told.status == 2
    assert "is encoded in SQL_ASCII" in told.said


def test_server_does_not_start_on_an_unfinished_copy(migrated_database_url, monkeypatch):
    with_an_unfinished_copy(migrated_database_url)
    with database(migrated_database_url) as found:
        monkeypatch.setattr(serve, "connection", found)
        with pytest.raises(CommandError, match="holds an unfinished copy"):
            serve.check_migrations_applied()
