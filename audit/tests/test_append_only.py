"""Nothing but prune_audit changes or removes a row, whichever way it is tried."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction

from audit import services as audit
from audit import triggers
from audit.enums import AuditEvent
from audit.models import AuditLog
from sites.tests.factories import make_site

MESSAGE = "audit_logs is append-only"
COPY_OF_A_ROW = (
    "INSERT{} INTO audit_logs SELECT * FROM audit_logs WHERE id = (SELECT min(id) FROM audit_logs)"
)
STATEMENTS = [
    "UPDATE audit_logs SET description = 'nothing happened'",
    "UPDATE audit_logs SET id = id + 1000",
    "DELETE FROM audit_logs",
    "DELETE FROM audit_logs WHERE created_at < '2100-01-01'",
    f"{COPY_OF_A_ROW.format('')} ON CONFLICT (id) DO UPDATE SET description = 'changed'",
]
SQLITE_STATEMENTS = [
    "UPDATE OR REPLACE audit_logs SET description = 'changed'",
    "UPDATE OR IGNORE audit_logs SET description = 'changed'",
    COPY_OF_A_ROW.format(" OR REPLACE"),
    COPY_OF_A_ROW.format(" OR IGNORE"),
    COPY_OF_A_ROW.format("").replace("INSERT", "REPLACE"),
]
POSTGRESQL_STATEMENTS = [
    "TRUNCATE audit_logs",
    "TRUNCATE audit_logs RESTART IDENTITY CASCADE",
    "WITH gone AS (DELETE FROM audit_logs RETURNING 1) SELECT count(*) FROM gone",
    "SET session_replication_role = replica; DELETE FROM audit_logs",
    "SET homepot.audit_prune = 'on'; DELETE FROM audit_logs",
    "BEGIN; SET LOCAL homepot.audit_prune = '1'; DELETE FROM audit_logs; COMMIT",
    # Even who knows the switch removes nothing that no row tells of.
    "BEGIN; SELECT set_config('homepot.audit_prune', pg_current_xact_id()::text || '/' "
    "|| (SELECT max(id) FROM audit_logs), true); DELETE FROM audit_logs; COMMIT",
]
# From PostgreSQL 15 on.
MERGE = "MERGE INTO audit_logs USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE"


def write_rows() -> list[dict[str, Any]]:
    for _ in range(3):
        audit.record(event=AuditEvent.SITE_CREATED, actor=None, target=make_site())
    return list(AuditLog.objects.values())


def run_on_a_connection_of_its_own(statements: str) -> None:
    """What the database's own shell does, with the rights of the application."""
    options = connection.get_connection_params()
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(options["database"])) as shell:
            shell.executescript(statements)
        return
    names = {"dbname", "user", "password", "host", "port"} & options.keys()
    parameters = {name: options[name] for name in names}
    with psycopg.connect(**parameters, autocommit=True) as shell:
        shell.execute(statements)


@pytest.mark.django_db(transaction=True)
def test_no_statement_of_a_shell_changes_or_removes_a_row():
    rows = write_rows()
    statements = [*STATEMENTS]
    if connection.vendor == "sqlite":
        statements += SQLITE_STATEMENTS
    else:
        statements += POSTGRESQL_STATEMENTS
        statements += [MERGE] * (connection.pg_version >= 150000)
    for statement in statements:
        with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError), match=MESSAGE):
            run_on_a_connection_of_its_own(statement)
        assert list(AuditLog.objects.values()) == rows, statement


def save_changed(row: AuditLog) -> None:
    row.description = "nothing happened"
    row.save()


def bulk_update(row: AuditLog) -> None:
    row.description = "nothing happened"
    AuditLog.objects.bulk_update([row], ["description"])


def bulk_upsert(row: AuditLog) -> None:
    AuditLog.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["id"], update_fields=["description"]
    )


def raw(row: AuditLog) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_logs WHERE id = %s", [row.pk])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        save_changed,
        bulk_update,
        bulk_upsert,
        raw,
        lambda row: row.delete(),
        lambda row: AuditLog.objects.all().delete(),
        lambda row: AuditLog.objects.all()._raw_delete("default"),
        lambda row: AuditLog.objects.filter(pk=row.pk).update(outcome="failure"),
        lambda row: AuditLog.objects.update_or_create(pk=row.pk, defaults={"outcome": "failure"}),
    ],
)
def test_nothing_in_django_changes_or_removes_a_row(change: Callable[[AuditLog], Any]):
    rows = write_rows()
    with pytest.raises(IntegrityError, match=MESSAGE), transaction.atomic():
        change(AuditLog.objects.first())
    assert list(AuditLog.objects.values()) == rows


@pytest.mark.django_db(transaction=True)
def test_flush_is_refused():
    rows = write_rows()
    with pytest.raises(Exception, match="couldn't be flushed"):
        call_command("flush", interactive=False, verbosity=0)
    assert list(AuditLog.objects.values()) == rows


@pytest.mark.django_db(transaction=True)
def test_triggers_return_after_a_migration_that_rebuilds_the_table():
    old = AuditLog._meta.get_field("user_agent")
    new = models.TextField(blank=True)
    new.set_attributes_from_name("user_agent")
    with connection.schema_editor() as editor:
        editor.alter_field(AuditLog, old, new)
    lost = triggers.missing(connection)
    try:
        assert bool(lost) == (connection.vendor == "sqlite")
        assert bool(database_check()) == bool(lost)
        call_command("migrate", verbosity=0)
        assert triggers.missing(connection) == []
        assert not database_check()
    finally:
        with connection.schema_editor() as editor:
            editor.alter_field(AuditLog, new, old)
    call_command("migrate", verbosity=0)
    assert triggers.missing(connection) == []


def database_check() -> str:
    errors = StringIO()
    call_command("check", databases=["default"], tags=["database"], stdout=errors, stderr=errors)
    return errors.getvalue() if "audit.W001" in errors.getvalue() else ""


@pytest.mark.django_db
def test_check_tells_when_triggers_are_missing_or_altered():
    assert not database_check()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER audit_logs_refuse_replace")
            cursor.execute(
                "CREATE TRIGGER audit_logs_refuse_replace BEFORE INSERT ON audit_logs "
                "WHEN 0 BEGIN SELECT 1; END"
            )
        else:
            cursor.execute("ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_refuse_change")
    (name,) = triggers.missing(connection)
    assert f"{name} is missing, switched off or altered" in database_check()

    triggers.create(connection)

    assert triggers.missing(connection) == []
    assert not database_check()


@pytest.mark.django_db
def test_triggers_that_are_there_cost_one_look(count_statements):
    # 1. the tables, 2. the triggers
    with count_statements(2):
        triggers.create(connection)


@pytest.mark.django_db
def test_altered_function_is_noticed_on_postgresql():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's triggers have no function")
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION audit_logs_refuse() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RETURN OLD; END $$"
        )
    assert triggers.missing(connection) == list(triggers.POSTGRESQL_TRIGGERS)
    triggers.create(connection)
    assert triggers.missing(connection) == []
