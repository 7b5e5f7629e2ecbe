"""Operations for migrations of tables that are in use, on both engines.

PostgreSQL does them without keeping anybody from writing for longer than a moment, and because
that takes several transactions, the migration says `atomic = False`. A migration that was
interrupted is run again as it is. SQLite has one writer at a time anyway and does them plainly.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import transaction
from django.db.migrations import AddConstraint, AddIndex
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.models import CheckConstraint

from homepot.postgresql.limits import limited

# Both wait for the transactions that are under way, and nobody waits for them.
UNLIMITED = {"lock_timeout": "0", "statement_timeout": "0"}


class AddIndexOnline(NotInTransactionMixin, AddIndex):
    """Adds an index: CREATE INDEX CONCURRENTLY on PostgreSQL."""

    atomic = False
    category = OperationCategory.ADDITION

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        connection = schema_editor.connection
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(connection.alias, model) or self._is_there(
            connection, model
        ):
            return
        with limited(connection, **UNLIMITED):
            if connection.vendor == "postgresql":
                # What an interrupted run left is kept up to date and never used.
                schema_editor.remove_index(model, self.index, concurrently=True)
                schema_editor.add_index(model, self.index, concurrently=True)
            else:
                schema_editor.add_index(model, self.index)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        connection = schema_editor.connection
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(connection.alias, model):
            return
        with limited(connection, **UNLIMITED):
            if connection.vendor == "postgresql":
                schema_editor.remove_index(model, self.index, concurrently=True)
            elif self._is_there(connection, model):
                schema_editor.remove_index(model, self.index)

    def _is_there(self, connection: Any, model: Any) -> bool:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid",
                    [connection.ops.quote_name(self.index.name)],
                )
                return bool(cursor.fetchone())
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
            return self.index.name in found


class AddCheckOnline(NotInTransactionMixin, AddConstraint):
    """Adds a CheckConstraint: on PostgreSQL first for new rows, then the others are looked at."""

    atomic = False
    category = OperationCategory.ADDITION

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        connection = schema_editor.connection
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(connection.alias, model):
            return
        table = model._meta.db_table
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, table)
        is_there = self.constraint.name in found
        if connection.vendor != "postgresql":
            if not is_there:
                # The table is made anew: all of that, or nothing.
                with transaction.atomic(using=connection.alias):
                    schema_editor.add_constraint(model, self.constraint)
            return
        if not is_there:
            add = self.constraint.create_sql(model, schema_editor)
            schema_editor.execute(f"{add} NOT VALID", params=None)
        with limited(connection, **UNLIMITED):
            schema_editor.execute(
                f"ALTER TABLE {schema_editor.quote_name(table)} "
                f"VALIDATE CONSTRAINT {schema_editor.quote_name(self.constraint.name)}"
            )

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        with transaction.atomic(using=schema_editor.connection.alias):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class ReplaceCheckOnline(NotInTransactionMixin, Operation):
    """Puts a CheckConstraint in the place of the one of its name: on PostgreSQL at once for new
    rows, then the others are looked at.
    """

    atomic = False
    reduces_to_sql = True
    reversible = True
    category = OperationCategory.ALTERATION

    def __init__(self, model_name: str, constraint: CheckConstraint) -> None:
        self.model_name = model_name
        self.constraint = constraint

    def state_forwards(self, app_label: str, state: Any) -> None:
        state.remove_constraint(app_label, self.model_name.lower(), self.constraint.name)
        state.add_constraint(app_label, self.model_name.lower(), self.constraint)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        connection = schema_editor.connection
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(connection.alias, model):
            return
        old_model = from_state.apps.get_model(app_label, self.model_name)
        check, old_check = self._check_of(model), self._check_of(old_model)
        if connection.vendor == "postgresql":
            name = schema_editor.quote_name(self.constraint.name)
            table = schema_editor.quote_name(model._meta.db_table)
            schema_editor.execute(
                f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, "
                f"ADD {check.constraint_sql(model, schema_editor)} NOT VALID",
                params=None,
            )
            with limited(connection, **UNLIMITED):
                schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
        elif check.constraint_sql(model, schema_editor) != old_check.constraint_sql(
            old_model, schema_editor
        ):
            # The table is made anew: all of that, or nothing.
            with transaction.atomic(using=connection.alias):
                schema_editor._remake_table(model)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self.database_forwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"Replace constraint {self.constraint.name} on model {self.model_name}"

    def _check_of(self, model: Any) -> CheckConstraint:
        """The constraint of that name in a state of the model."""
        checks = model._meta.constraints
        return next(check for check in checks if check.name == self.constraint.name)


class CreateFunction(Operation):
    """Makes a function of PostgreSQL's, as `<name>.sql` in `folder` says; nothing on SQLite.

    It needs no lock, and takes the place of one of that name. What the function names is looked
    up when it is called.
    """

    reduces_to_sql = True
    reversible = True
    category = OperationCategory.ADDITION

    def __init__(self, name: str, *, folder: str) -> None:
        self.name = name
        self.folder = folder

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            path = settings.BASE_DIR / self.folder / f"{self.name}.sql"
            schema_editor.execute(path.read_text(), params=None)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP FUNCTION IF EXISTS {schema_editor.quote_name(self.name)}")

    def describe(self) -> str:
        return f"Create function {self.name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"add_{self.name}_function"


class ReplaceFunction(CreateFunction):
    """Makes a function anew that an earlier migration made, which also removes it when undone."""

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        pass

    def describe(self) -> str:
        return f"Replace function {self.name}"
