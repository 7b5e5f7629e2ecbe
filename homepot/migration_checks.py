"""What `manage.py check` says of migrations that would stop the shop.

A migration of a table that is written to all the time must not lock it for longer than a moment,
whatever its size, nor leave it so that processes of the version before can no longer use it:
they go on until they are restarted. docs/upgrades.md tells how each change is made instead. A
migration that has to do otherwise says why, in `locks_tables_because`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Warning, register
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from homepot.first_release import FIRST_RELEASE
from homepot.migration_rules import BUSY_TABLES, problems_of_change, problems_of_sql, table_of


@register()
def check_migrations(**kwargs: Any) -> list[CheckMessage]:
    """Look at the migrations after those of the first release. No error: it would stop migrate."""
    if not any(_has_later_migrations(label, last) for label, last in FIRST_RELEASE.items()):
        return []
    loader = MigrationLoader(None)
    return [
        Warning(
            f"The migration {migration}: {problem}.",
            hint="docs/upgrades.md tells how to change a table that is in use. What the first "
            "release brings is named in homepot/first_release.py.",
            id="homepot.W002",
        )
        for migration in _later_migrations(loader)
        for problem in problems_of(migration, loader.project_state(_parents(loader, migration)))
    ]


def _has_later_migrations(app_label: str, last: str) -> bool:
    """Whether there are any, without reading them: this runs before most commands."""
    package = import_module(f"{apps.get_app_config(app_label).name}.migrations")
    return any(found.name > last for found in pkgutil.iter_modules(package.__path__))


def _later_migrations(loader: MigrationLoader) -> Iterator[Migration]:
    for (app_label, name), migration in sorted(loader.disk_migrations.items()):
        if name > FIRST_RELEASE.get(app_label, "\uffff"):
            yield migration


def _parents(loader: MigrationLoader, migration: Migration) -> list[tuple[str, str]]:
    node = loader.graph.node_map[migration.app_label, migration.name]
    return [parent.key for parent in node.parents]


def problems_of(migration: Migration, state: ProjectState) -> list[str]:
    """Why `migration`, which finds the models as in `state`, would stop the shop."""
    if getattr(migration, "locks_tables_because", ""):
        return []
    return list(_Reader(migration).read(migration.operations, state))


class _Reader:
    def __init__(self, migration: Migration) -> None:
        self._app_label = migration.app_label
        self._is_atomic = migration.atomic
        # New tables are empty, and nobody knows them yet.
        self._made: set[str] = set()
        self._holds_locks = False

    def read(self, listed: Sequence[Any], state: ProjectState) -> Iterator[str]:
        """The problems of operations; `state` is taken along."""
        for operation in listed:
            before = state.clone()
            operation.state_forwards(self._app_label, state)
            match operation:
                case operations.SeparateDatabaseAndState():
                    yield from self.read(operation.database_operations, before)
                case operations.RunSQL():
                    yield from problems_of_sql(operation)
                case operations.RunPython() if self._holds_locks and self._is_atomic:
                    yield "RunPython keeps the locks of what is before it; give it a migration"
                case operations.CreateModel():
                    self._made.add(table_of(operation, self._app_label, state))
                case _:
                    yield from self._read_change(operation, before, state)

    def _read_change(
        self, operation: Any, before: ProjectState, after: ProjectState
    ) -> Iterator[str]:
        table = table_of(operation, self._app_label, before)
        if table in BUSY_TABLES - self._made:
            self._holds_locks = True
            for problem in problems_of_change(operation, self._app_label, before, after):
                yield f"{type(operation).__name__} on {table} {problem}"
