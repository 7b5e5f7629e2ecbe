"""PostgreSQL's short way, through the pool of a web process."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.db import IntegrityError, OperationalError, ProgrammingError, connection
from django.db.transaction import TransactionManagementError
from django.db.utils import ConnectionHandler

from homepot.database import database_options
from homepot.errors import violated_columns
from homepot.postgresql.quick import MAX_PREPARED, PREPARED_AFTER
from homepot.statements import fetch_rows
from homepot.testing.line import line_to

pytestmark = pytest.mark.django_db

NAMES = "SELECT name FROM pg_prepared_statements WHERE name LIKE 'homepot%%' ORDER BY name"


@pytest.fixture
def pooled(monkeypatch):
    """The database as a web process sees it, with one connection."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no pool")
    with line_to(os.environ["DATABASE__URL"]) as line:
        options = database_options(
            line.url, base_dir=settings.BASE_DIR, pool_size=1, max_overflow=0, is_web_process=True
        )
        pooled = ConnectionHandler({"default": options})["default"]
        monkeypatch.setattr("homepot.statements.connections", {"default": pooled})
        pooled.ensure_connection()
        pooled.close()
        pooled.line = line
        yield pooled
        pooled.close_pool()


def prepared():
    return [name for (name,) in fetch_rows(NAMES, ())]


def test_values_come_and_go_as_with_djangos_cursors(pooled):
    values = [
        *("text %", "", None, True, 5, 70_000, 2**40, 0.5),
        datetime(2026, 6, 1, 12, 30, 15, 250, UTC),
        '{"a": [1, "b"]}',
        "192.0.2.1",
    ]
    sql = (
        "SELECT %s::text, %s::text, %s::text, %s::boolean, %s::smallint, %s::integer, %s::bigint,"
        " %s::float8, %s::timestamptz, %s::jsonb, %s::inet, 7 %% 4"
    )
    with pooled.cursor() as cursor:
        cursor.execute(sql, values)
        expected = cursor.fetchall()
    pooled.close()
    for _ in range(PREPARED_AFTER + 2):
        assert fetch_rows(sql, values) == expected == [(*values, 3)]
    assert fetch_rows("SELECT 1 WHERE false", ()) == []


def test_statements_are_prepared_once_they_are_usual_and_not_too_many(pooled):
    for _ in range(PREPARED_AFTER):
        assert prepared() == []
    assert len(prepared()) == 1
    for number in range(MAX_PREPARED + 5):
        for use in range(PREPARED_AFTER + 2):
            assert fetch_rows(f"SELECT {number}, %s::integer", [use]) == [(number, use)]
    assert len(prepared()) == MAX_PREPARED
    assert fetch_rows(f"SELECT {MAX_PREPARED + 1}, %s::integer", [1]) == [(MAX_PREPARED + 1, 1)]


def run(pooled, statement):
    with pooled.cursor() as cursor:
        cursor.execute(statement)
    pooled.close()


def test_statements_that_the_server_forgot_are_prepared_again(pooled):
    run(pooled, "CREATE TEMPORARY TABLE moods AS SELECT 1 AS mood")
    for _ in range(PREPARED_AFTER + 2):
        assert fetch_rows("SELECT * FROM moods", ()) == [(1,)]
    run(pooled, "DEALLOCATE ALL")
    assert fetch_rows("SELECT * FROM moods", ()) == [(1,)]
    run(pooled, "ALTER TABLE moods ALTER mood TYPE text")
    assert fetch_rows("SELECT * FROM moods", ()) == [("1",)]


def test_nothing_is_prepared_where_sessions_are_shared(pooled):
    with pooled.pool.connection() as only:
        only.prepare_threshold = None  # as with ?pgbouncer=true
    for _ in range(PREPARED_AFTER + 2):
        assert prepared() == []


def test_errors_are_djangos(pooled):
    run(pooled, "CREATE TEMPORARY TABLE moods (mood integer UNIQUE); INSERT INTO moods VALUES (1)")
    for _ in range(PREPARED_AFTER + 2):
        with pytest.raises(IntegrityError) as refused:
            fetch_rows("INSERT INTO moods VALUES (%s) RETURNING mood", [1])
        assert violated_columns(refused.value) == ("mood",)
    with pytest.raises(ProgrammingError, match="nowhere"):
        fetch_rows("SELECT * FROM nowhere", ())
    pooled.line.cut()
    with pytest.raises(OperationalError):
        fetch_rows("SELECT 1", ())


def test_within_a_transaction_it_is_part_of_that(pooled):
    pooled.set_autocommit(False)
    with pooled.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE moods (mood integer)")
    assert fetch_rows("SELECT count(*) FROM moods", ()) == [(0,)]
    # The request ends in the middle of the transaction: the next one begins none.
    pooled.close()
    assert fetch_rows("SELECT to_regclass('moods')::text", ()) == [(None,)]
    fetch_rows("SELECT set_config('homepot.test', 'kept', false)", ())
    assert fetch_rows("SELECT current_setting('homepot.test')", ()) == [("kept",)]


def test_what_a_transaction_takes_back_is_forgotten_and_prepared_again(pooled):
    insert = "INSERT INTO moods VALUES (%s)"
    run(pooled, "CREATE TEMPORARY TABLE moods (mood integer)")
    for _ in range(2):
        with pooled.cursor() as cursor:
            for _ in range(10):  # Django's cursors prepare it too
                cursor.execute("SELECT 1")
        pooled.set_autocommit(False)
        for number in range(PREPARED_AFTER + 2):
            assert fetch_rows(insert, [number]) == []
            assert fetch_rows("SELECT count(*) FROM moods", ()) == [(number + 1,)]
        with pooled.cursor() as cursor:
            cursor.execute("SAVEPOINT here")
            cursor.execute("ROLLBACK TO SAVEPOINT here")
            cursor.execute("SELECT 1")
        assert fetch_rows(insert, [9]) == []
        pooled.rollback()
        pooled.set_autocommit(True)
        assert fetch_rows("SELECT count(*) FROM moods", ()) == [(0,)]


def test_statement_of_a_broken_transaction_is_refused(pooled):
    pooled.needs_rollback = True
    with pytest.raises(TransactionManagementError):
        fetch_rows("SELECT 1", ())
    pooled.needs_rollback = False


def test_connection_that_a_request_has_already_is_used(pooled):
    sql = "SELECT pg_backend_pid()"
    with pooled.cursor() as cursor:
        cursor.execute(sql)
        held = cursor.fetchall()
    for _ in range(PREPARED_AFTER + 2):
        assert fetch_rows(sql, ()) == held  # the only one of the pool
    assert prepared()
