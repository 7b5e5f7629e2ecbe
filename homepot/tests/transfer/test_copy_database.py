"""Copies between an SQLite file and a database of the run's engine, there and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit import triggers
from audit.models import AuditLog
from devices.models import HealthCheck
from homepot.tests.transfer.rows import TEXTS
from homepot.transfer import copying, moving
from homepot.transfer.databases import database, options_of
from homepot.transfer.digest import table_digests
from homepot.transfer.progress import ProgressBar
from homepot.transfer.triggers import triggers_of
from sites.models import Site

pytestmark = pytest.mark.django_db


def digests(url: str) -> Any:
    with database(url) as connection:
        return table_digests(connection)


def schema(url: str) -> Any:
    """Everything that guards the rows of a database, as the database itself puts it."""
    with database(url) as connection, connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT type, name, sql FROM sqlite_master")
        else:
            cursor.execute(
                "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) "
                "FROM pg_constraint WHERE connamespace = 'public'::regnamespace UNION ALL "
                # Conditions are written in other words when they are read once more.
                "SELECT tablename, indexname, split_part(indexdef, ' WHERE ', 1) FROM pg_indexes "
                "WHERE schemaname = 'public'"
            )
        return set(cursor.fetchall()), triggers_of(connection)


def test_rows_arrive_there_and_back(copy, filled_url, empty_database_url, tmp_path):
    with database(filled_url) as source:
        # Ids that were given and are gone must not be given again.
        HealthCheck.objects.using(source.alias).filter(pk__gt=8).delete()
    there = copy(filled_url, empty_database_url)
    assert (there.status, there.report["is_equal"]) == (0, True), there.said
    back_url = f"sqlite:///{tmp_path / 'back.db'}"
    back = copy(empty_database_url, back_url)
    assert (back.status, back.report["is_equal"]) == (0, True), back.said

    assert digests(filled_url) == digests(empty_database_url) == digests(back_url)
    assert schema(filled_url) == schema(back_url)
    for url in (empty_database_url, back_url):
        with database(url) as copied:
            assert triggers.missing(copied) == []
            assert AuditLog.objects.using(copied.alias).count() == len(TEXTS)
            new = HealthCheck(device_id=1, is_healthy=True)
            new.save(using=copied.alias)
            assert new.pk == 12
    [table] = [row for row in there.report["tables"] if row["table"] == "health_checks"]
    assert table["is_equal"]
    assert table["source"] == table["target"]
    assert table["source"]["rows"] == 8
    assert "Both hold the same." in there.said


@pytest.fixture
def in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each transaction holds few rows, and what is postponed for large tables is so for all."""
    monkeypatch.setattr(copying, "ROWS_PER_TRANSACTION", 3)
    monkeypatch.setattr("homepot.transfer.lines.BATCH_BYTES", 100)
    monkeypatch.setattr(moving, "POSTPONED_FROM_ROWS", 1)


@pytest.fixture
def break_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """`break_off("health_checks", 7)` ends a copy as Ctrl-C does, after so many of its rows."""

    def arrange(table: str, rows: int) -> None:
        add, seen = ProgressBar.add, []

        def count(bar: ProgressBar, units: int, where: object) -> None:
            add(bar, units, where)
            if bar.name == "Copying" and str(where) == table:
                seen.append(units)
                if sum(seen) >= rows:
                    monkeypatch.setattr(ProgressBar, "add", add)
                    raise KeyboardInterrupt

        monkeypatch.setattr(ProgressBar, "add", count)

    return arrange


@pytest.mark.parametrize("is_read_only", [True, False])
@pytest.mark.parametrize(("table", "rows"), [("health_checks", 7), ("jobs", 2), ("sites", 1)])
def test_copy_that_was_broken_off_is_resumed(
    copy, break_off, in_small_steps, settings, filled_url, migrated_database_url, table, rows,
    is_read_only,
):  # fmt: skip
    before = schema(migrated_database_url)
    settings.MAINTENANCE_READ_ONLY = is_read_only
    break_off(table, rows)
    assert copy(filled_url, migrated_database_url).status == 2
    refused = copy(filled_url, migrated_database_url)
    assert (refused.status, "unfinished copy" in refused.said) == (2, True)

    resumed = copy(filled_url, migrated_database_url, "--resume")

    assert (resumed.status, resumed.report["is_equal"]) == (0, True), resumed.said
    # What was written to meanwhile could have changed: then it starts over.
    assert resumed.report["plan"]["is_resumed"] == is_read_only
    assert digests(filled_url) == digests(migrated_database_url)
    after = schema(migrated_database_url)
    assert (after[0] ^ before[0], after[1]) == (set(), before[1])


def test_change_of_the_source_before_the_rest_is_found(
    copy, break_off, in_small_steps, settings, filled_url, migrated_database_url
):
    settings.MAINTENANCE_READ_ONLY = True
    break_off("health_checks", 7)
    copy(filled_url, migrated_database_url)
    with database(filled_url) as source:
        HealthCheck.objects.using(source.alias).filter(pk=1).update(is_healthy=True)
    resumed = copy(filled_url, migrated_database_url, "--resume")
    assert (resumed.status, resumed.report["is_equal"]) == (1, False)
    assert "They differ: health_checks." in resumed.said
    again = copy(filled_url, migrated_database_url, "--replace", "--no-input")
    assert (again.status, again.report["is_equal"]) == (0, True)


def test_changed_byte_is_found(copy, filled_url, migrated_database_url):
    copy(filled_url, migrated_database_url)
    assert copy(filled_url, migrated_database_url, "--verify-only").status == 0
    with database(migrated_database_url) as target:
        HealthCheck.objects.using(target.alias).filter(pk=4).update(error_message=TEXTS[3] + " ")
    verified = copy(filled_url, migrated_database_url, "--verify-only")
    assert verified.status == 1
    assert "They differ: health_checks." in verified.said


def test_target_with_rows_is_replaced_only_when_told(
    copy, filled_url, migrated_database_url, monkeypatch
):
    copy(filled_url, migrated_database_url)
    before = digests(migrated_database_url)
    with database(filled_url) as source:
        Site.objects.using(source.alias).filter(pk=1).update(name="New")
    refused = copy(filled_url, migrated_database_url)
    assert refused.status == 2
    assert "is not empty" in refused.said
    assert "audit_logs" in refused.said
    monkeypatch.setattr("builtins.input", lambda text: "yes")
    assert copy(filled_url, migrated_database_url, "--replace").status == 2
    assert digests(migrated_database_url) == before
    name = Path(options_of(migrated_database_url)["NAME"]).name
    monkeypatch.setattr("builtins.input", lambda text: name)
    assert copy(filled_url, migrated_database_url, "--replace").status == 0
    assert digests(migrated_database_url) == digests(filled_url)
    with database(migrated_database_url) as target:
        assert triggers.missing(target) == []


def test_dry_run_changes_nothing(copy, filled_url, empty_database_url, tmp_path):
    told = copy(filled_url, empty_database_url, "--dry-run")
    assert (told.status, told.report["plan"]["migrates_target"]) == (0, True), told.said
    with database(empty_database_url) as target:
        assert target.introspection.table_names() == []
    path = tmp_path / "new.db"
    assert copy(filled_url, f"sqlite:///{path}", "--dry-run").status == 0
    assert not path.exists()
