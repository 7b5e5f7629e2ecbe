"""What the two database engines promise, seen from the database's side."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.utils import ConnectionHandler

from homepot.database import database_options
from homepot.postgresql.pool import RESTED_AFTER_SECONDS
from sites.models import Site
from sites.tests.factories import make_site


@pytest.fixture
def web_connection(postgresql, db):
    """A connection as a web process has it, from a pool of one."""
    options = database_options(
        os.environ["DATABASE__URL"],
        base_dir=settings.BASE_DIR,
        pool_size=1,
        max_overflow=0,
        is_web_process=True,
    )
    pooled = ConnectionHandler({"default": {}, "pooled": options}).create_connection("pooled")
    yield pooled
    pooled.close()
    pooled.close_pool()


def ask(database, statement):
    with database.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 20_000)],
)
def test_sqlite_is_durable_and_patient(sqlite, pragma, value):
    assert ask(connection, f"PRAGMA {pragma}") == value


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("statement_timeout", "15s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "15s"),
        ("application_name", "homepot"),
    ],
)
def test_web_process_limits_what_it_asks_of_postgresql(web_connection, setting, value):
    assert ask(web_connection, f"SHOW {setting}") == value


@pytest.mark.django_db
@pytest.mark.parametrize(("setting", "value"), [("statement_timeout", "0"), ("lock_timeout", "5s")])
def test_command_takes_its_time_on_postgresql(postgresql, setting, value):
    assert ask(connection, f"SHOW {setting}") == value


def test_connection_that_died_while_it_rested_is_replaced(web_connection):
    backend = ask(web_connection, "SELECT pg_backend_pid()")
    web_connection.close()  # back to the pool
    with psycopg.connect(os.environ["DATABASE__URL"]) as server:
        server.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    time.sleep(RESTED_AFTER_SECONDS + 0.1)
    assert ask(web_connection, "SELECT pg_backend_pid()") != backend


def test_connection_is_used_again(web_connection):
    backend = ask(web_connection, "SELECT pg_backend_pid()")
    web_connection.close()
    assert ask(web_connection, "SELECT pg_backend_pid()") == backend


@pytest.mark.django_db(transaction=True)
def test_writers_wait_for_each_other():
    site = make_site(description="0")

    def add_one(_):
        try:
            with transaction.atomic():
                # The lock on PostgreSQL; SQLite took its own at BEGIN.
                locked = Site.objects.select_for_update().get(pk=site.pk)
                locked.description = str(int(locked.description) + 1)
                locked.save(update_fields=["description"])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add_one, range(40)))
    site.refresh_from_db()
    assert site.description == "40"


def test_ids_have_one_index_each(postgresql, db):
    """And no second one, for searches by how an id begins in the words of some language."""
    twins = "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%pattern_ops%'"
    assert ask(connection, twins) == 0
