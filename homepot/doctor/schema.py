"""Whether the tables, triggers, indexes and numbers that migrations made are there still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core import checks
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import AutoField, CheckConstraint, Max

from homepot.doctor.database import ask
from homepot.doctor.findings import Finding, ok, problem
from homepot.models import ServicePulse
from homepot.readiness import known_migrations

MAKE_ANEW = "Copy the data into a new database that `manage.py migrate` made."


def look_at_migrations() -> Iterator[Finding]:
    """Whether the tables are those of this code."""
    recorder = MigrationRecorder(connection)
    applied = set(recorder.applied_migrations())
    missing = known_migrations() - applied
    if missing:
        yield problem(
            "migrations",
            f"{len(missing)} are to be applied, such as {'.'.join(min(missing))}.",
            "Run: python manage.py migrate",
        )
    labels = {config.label for config in apps.get_app_configs()}
    newer = {key for key in applied - known_migrations() if key[0] in labels}
    if newer:
        yield problem(
            "migrations",
            f"The database is newer than this code: it has {'.'.join(max(newer))}.",
            "Install the version of HOMEPOT that the database was last used with, or a newer one.",
        )
    if not missing and not newer:
        yield ok("migrations", f"All {len(applied)} are applied.")


def look_at_triggers() -> Iterator[Finding]:
    """What the apps check of the database: that the audit log's triggers are there."""
    messages = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    for message in messages:
        yield problem("triggers", message.msg, message.hint or MAKE_ANEW)
    if not messages:
        yield ok("triggers", "Those that keep the audit log from being changed are there.")


def look_at_indexes() -> Iterator[Finding]:
    """Whether every index and constraint that the models name is there, and used."""
    found = 0
    for model in apps.get_models():
        if not model._meta.managed or model._meta.proxy:
            continue
        table = model._meta.db_table
        with connection.cursor() as cursor:
            present = connection.introspection.get_constraints(cursor, table)
        for thing in (*model._meta.indexes, *model._meta.constraints):
            if thing.name in present:
                found += 1
            else:
                yield problem(
                    "indexes", f"{thing.name} of {table} is missing.", _make(model, thing)
                )
    invalid = _invalid() if connection.vendor == "postgresql" else []
    yield from invalid
    if found and not invalid:
        yield ok("indexes", f"{found} indexes and constraints are there.")


def _make(model: Any, thing: Any) -> str:
    """The SQL that makes an index or constraint."""
    if connection.vendor == "sqlite" and isinstance(thing, CheckConstraint):
        return MAKE_ANEW  # SQLite adds none to a table that is there
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        editor.execute(thing.create_sql(model, editor), params=None)
    return f"Run: {' '.join(editor.collected_sql)}"


def _invalid() -> list[Finding]:
    """What an interrupted command left: kept up to date, and of no use."""
    indexes = ask(
        "SELECT indexrelid::regclass::text FROM pg_index "
        "JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE NOT indisvalid AND relnamespace = current_schema()::regnamespace"
    )
    constraints = ask(
        "SELECT conname::text, conrelid::regclass::text FROM pg_constraint "
        "WHERE NOT convalidated AND connamespace = current_schema()::regnamespace"
    )
    return [
        *(
            problem("indexes", f"{name} is not valid.", f"Run: REINDEX INDEX CONCURRENTLY {name};")
            for (name,) in indexes
        ),
        *(
            problem(
                "indexes",
                f"{name} of {table} was never held against the rows that are there.",
                f"Run: ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
            )
            for name, table in constraints
        ),
    ]


def look_at_sequences() -> Iterator[Finding]:
    """Whether the next row of each table gets a number that is free."""
    if connection.vendor == "sqlite":
        yield ok("sequences", "SQLite finds the next number by itself.")
        return
    behind = 0
    for model in apps.get_models():
        key = model._meta.pk
        if not model._meta.managed or model._meta.proxy or not isinstance(key, AutoField):
            continue
        if model is ServicePulse:  # its one row always has the same number
            continue
        table = model._meta.db_table
        ((sequence,),) = ask("SELECT pg_get_serial_sequence(%s, %s)", [f'"{table}"', key.column])
        if sequence is None:
            behind += 1
            yield problem("sequences", f"{table} gives its rows no numbers.", MAKE_ANEW)
            continue
        ((last, is_called),) = ask(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608
        highest = model._default_manager.aggregate(highest=Max(key.name))["highest"] or 0
        if last + is_called <= highest:
            behind += 1
            yield problem(
                "sequences",
                f"The next row of {table} would get the number {last + is_called}, and "
                f"{highest} is taken: it cannot be stored.",
                f"Run: SELECT setval('{sequence}', {highest});",
            )
    if not behind:
        yield ok("sequences", "All are ahead of their tables.")
