"""The triggers that make the audit log append-only, for both databases side by side.

They are made after every migrate, because SQLite drops those of a table that a migration
rebuilds. What they stop, and what they cannot, is told in docs/security.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction

TABLE = "audit_logs"
REFUSAL = "audit_logs is append-only: rows are never changed, and leave by prune_audit alone"

_REFUSE = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
SQLITE_TRIGGERS = {
    "audit_logs_refuse_update": (
        f"CREATE TRIGGER audit_logs_refuse_update BEFORE UPDATE ON audit_logs {_REFUSE}"
    ),
    "audit_logs_refuse_delete": (
        f"CREATE TRIGGER audit_logs_refuse_delete BEFORE DELETE ON audit_logs {_REFUSE}"
    ),
    # REPLACE removes the row that is in its way without asking the trigger above.
    "audit_logs_refuse_replace": (
        "CREATE TRIGGER audit_logs_refuse_replace BEFORE INSERT ON audit_logs "  # noqa: S608
        f"WHEN NEW.id IN (SELECT id FROM audit_logs) {_REFUSE}"
    ),
}

# The switch of prune_audit names the transaction that set it and the row that tells of the
# removal. Another transaction cannot use it, and nothing leaves that no row tells of.
POSTGRESQL_SWITCH = "homepot.audit_prune"
POSTGRESQL_FUNCTION_BODY = f"""
DECLARE
    switch text := current_setting('{POSTGRESQL_SWITCH}', true);
BEGIN
    IF TG_OP = 'DELETE' AND switch LIKE pg_current_xact_id()::text || '/%' THEN
        PERFORM 1 FROM audit_logs AS pruned
        WHERE pruned.id = split_part(switch, '/', 2)::bigint
            AND pruned.event_type = 'audit_pruned'
            AND OLD.event_type <> 'audit_pruned'
            AND OLD.id < pruned.id
            AND OLD.created_at < (pruned.event_metadata ->> 'before')::timestamptz;
        IF FOUND THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation';
END
"""
POSTGRESQL_FUNCTION = (
    "CREATE OR REPLACE FUNCTION audit_logs_refuse() RETURNS trigger LANGUAGE plpgsql "
    f"AS $${POSTGRESQL_FUNCTION_BODY}$$"
)
POSTGRESQL_TRIGGERS = {
    "audit_logs_refuse_change": (
        "CREATE OR REPLACE TRIGGER audit_logs_refuse_change BEFORE UPDATE OR DELETE "
        "ON audit_logs FOR EACH ROW EXECUTE FUNCTION audit_logs_refuse()"
    ),
    "audit_logs_refuse_truncate": (
        "CREATE OR REPLACE TRIGGER audit_logs_refuse_truncate BEFORE TRUNCATE "
        "ON audit_logs FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_refuse()"
    ),
}


def missing(connection: Any) -> list[str]:
    """The triggers that are not there, are switched off or say something else.

    None is missing while the table itself is.
    """
    with connection.cursor() as cursor:
        if TABLE not in connection.introspection.table_names(cursor):
            return []
        if connection.vendor == "sqlite":
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
                [TABLE],
            )
            statements = dict(cursor.fetchall())
            return [name for name, sql in SQLITE_TRIGGERS.items() if statements.get(name) != sql]
        # "A": also when the session says that it replicates.
        cursor.execute(
            "SELECT tgname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
            "WHERE tgrelid = %s::regclass AND tgenabled = 'A' AND prosrc = %s",
            [TABLE, POSTGRESQL_FUNCTION_BODY],
        )
        present = {name for (name,) in cursor.fetchall()}
        return [name for name in POSTGRESQL_TRIGGERS if name not in present]


def create(connection: Any) -> None:
    """Make the triggers that are missing; one look when none is."""
    absent = missing(connection)
    if not absent:
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name in absent:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                cursor.execute(SQLITE_TRIGGERS[name])
        else:
            cursor.execute(POSTGRESQL_FUNCTION)
            for name in absent:
                cursor.execute(POSTGRESQL_TRIGGERS[name])
                cursor.execute(f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {name}")


def drop(connection: Any) -> None:
    """Take the triggers away."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name in SQLITE_TRIGGERS:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        else:
            for name in POSTGRESQL_TRIGGERS:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {TABLE}")


@contextmanager
def pruning(connection: Any, *, pruned_pk: int) -> Iterator[None]:
    """A transaction in which the rows that the AUDIT_PRUNED row `pruned_pk` names may go.

    Nobody else can remove any meanwhile: SQLite, whose trigger is away, has one writer at a
    time, and PostgreSQL's switch is this transaction's own.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER audit_logs_refuse_delete")
            yield
            cursor.execute(SQLITE_TRIGGERS["audit_logs_refuse_delete"])
        else:
            cursor.execute(
                "SELECT set_config(%s, pg_current_xact_id()::text || '/' || %s::bigint, true)",
                [POSTGRESQL_SWITCH, pruned_pk],
            )
            yield
