"""Walks an empty database through every state that the project's migrations pass, with rows in it.

    python -m homepot.testing.migration_walk

At each state every table of the project gets one more row. Each migration is applied, taken back
and applied again; at the end all are taken back. No step may lose a row of a table that stays.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState
from django.utils import timezone

# What constraints across columns ask for, besides what each column does.
CONSTRAINED: dict[str, Callable[[], dict[str, Any]]] = {
    "jobs.JobExecution": lambda: dict.fromkeys(
        ("due_at", "expires_at"), timezone.now() + timedelta(days=1)
    ),
    "devices.Device": lambda: dict.fromkeys(("status_due_at", "sweep_at"), timezone.now()),
}


def walk() -> int:
    """Walk all the way and back; return how many migrations of the project were met.

    Raises AssertionError when a step loses rows, and what a migration raises.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = OFF")  # nothing here has to last
    executor = MigrationExecutor(connection)
    executor.recorder.ensure_schema()
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    state = ProjectState(real_apps=executor.loader.unmigrated_apps)
    before: dict[Migration, ProjectState] = {}
    for round_number, (migration, _) in enumerate(plan):
        before[migration] = state
        with RowsStay(migration):
            state = executor.apply_migration(state.clone(), migration)
        if _is_ours(migration.app_label):
            _fill(state, round_number)
            with RowsStay(migration):
                executor.unapply_migration(before[migration], migration)
            with RowsStay(migration):
                state = executor.apply_migration(before[migration].clone(), migration)
    for migration, _ in reversed(plan):
        with RowsStay(migration):
            executor.unapply_migration(before[migration], migration)
    return sum(_is_ours(migration.app_label) for migration in before)


class RowsStay:
    """`with RowsStay(migration):` counts the rows of all tables before and after."""

    def __init__(self, migration: Migration) -> None:
        self._migration = migration

    def __enter__(self) -> None:
        self._counts = _count_rows()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            after = _count_rows()
            lost = {
                name for name in self._counts.keys() & after if after[name] < self._counts[name]
            }
            assert not lost - {"django_migrations"}, f"{self._migration} lost rows of {lost}"


def _count_rows() -> dict[str, int]:
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        counts = {}
        for name in names:
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(name)}")
            counts[name] = cursor.fetchone()[0]
        return counts


def _is_ours(app_label: str) -> bool:
    return Path(apps.get_app_config(app_label).path).parent == Path(settings.BASE_DIR)


def _fill(state: ProjectState, round_number: int) -> None:
    """Add a row to every table of the project, each referring to those added with it."""
    # As migrations that run Python do: not all classes have been made anew yet.
    state.clear_delayed_apps_cache()
    made: dict[str, models.Model] = {}
    for (app_label, _), model_state in state.models.items():
        if _is_ours(app_label):
            _make_row(state.apps.get_model(app_label, model_state.name), round_number, made)


def _make_row(model: Any, round_number: int, made: dict[str, models.Model]) -> models.Model:
    label = model._meta.label
    if label not in made:
        constrained = CONSTRAINED.get(label, dict)()
        values: dict[str, Any] = {}
        for field in model._meta.concrete_fields:
            if field.name in constrained:
                values[field.name] = constrained[field.name]
                continue
            if field.many_to_one or field.one_to_one:
                if field.related_model is not model:
                    values[field.name] = _make_row(field.related_model, round_number, made)
            elif not field.primary_key and (
                field.unique or not (field.null or field.has_default())
            ):
                values[field.name] = _value_for(field, round_number)
        made[label] = model.objects.create(**values)
    return made[label]


def _value_for(field: models.Field, round_number: int) -> Any:
    """Something that fits the column, and no other round's where it has to be unique."""
    if field.choices:
        return field.choices[0][0]
    match field:
        case models.DateTimeField():
            return timezone.now()
        case models.UUIDField():
            return uuid.uuid4()
        case models.JSONField():
            return {"round": round_number}
        case models.GenericIPAddressField():
            return "192.0.2.1"
        case models.BooleanField():
            return False
        case models.IntegerField() | models.FloatField():
            return round_number
    return f"round {round_number}"[: field.max_length]


if __name__ == "__main__":
    django.setup()
    print(walk())
