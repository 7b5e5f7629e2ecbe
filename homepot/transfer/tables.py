"""Every table of the project and its apps, as the registry of models knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any

from django.apps import apps
from django.apps.registry import Apps
from django.db import models
from django.db.migrations.recorder import MigrationRecorder

MIGRATIONS_TABLE = MigrationRecorder.Migration._meta.db_table


class Kind(Enum):
    """How the values of a column are written down; the order is that of a line's fields."""

    INTEGER = 1
    BOOLEAN = 2
    TIME = 3
    UUID = 4
    TEXT = 5
    # What the engines write in different ways, and digests therefore in a third.
    FLOAT = 6
    ADDRESS = 7
    JSON = 8


KINDS = {
    "AutoField": Kind.INTEGER,
    "BigAutoField": Kind.INTEGER,
    "BigIntegerField": Kind.INTEGER,
    "BooleanField": Kind.BOOLEAN,
    "CharField": Kind.TEXT,
    "DateTimeField": Kind.TIME,
    "FloatField": Kind.FLOAT,
    "GenericIPAddressField": Kind.ADDRESS,
    "IntegerField": Kind.INTEGER,
    "JSONField": Kind.JSON,
    "PositiveBigIntegerField": Kind.INTEGER,
    "PositiveIntegerField": Kind.INTEGER,
    "PositiveSmallIntegerField": Kind.INTEGER,
    "SmallIntegerField": Kind.INTEGER,
    "TextField": Kind.TEXT,
    "UUIDField": Kind.UUID,
}


@dataclass(frozen=True)
class Column:
    """A column. `field` is that of the model whose values it holds: a foreign key's target."""

    name: str
    kind: Kind
    is_nullable: bool
    field: models.Field

    @property
    def internal_type(self) -> str:
        return self.field.get_internal_type()


@dataclass(frozen=True)
class Reference:
    """A foreign key that the database enforces."""

    column: str
    to_table: str
    to_column: str


@dataclass(frozen=True)
class Table:
    """A table; `columns` stand in the order of a line's fields: see `Kind`."""

    model: type[models.Model]
    columns: tuple[Column, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    @property
    def label(self) -> str:
        return self.model._meta.label

    @property
    def key(self) -> str:
        """The column of the primary key."""
        return str(self.model._meta.pk.column)

    @property
    def has_integer_key(self) -> bool:
        return self.columns[self._index_of_key].kind is Kind.INTEGER

    @property
    def has_sequence(self) -> bool:
        """Whether the database gives its rows their keys."""
        return isinstance(self.model._meta.pk, models.AutoField)

    @property
    def refers_to_itself(self) -> bool:
        return any(reference.to_table == self.name for reference in self.references)

    def integer_key_of(self, line: bytes) -> int:
        """The key of a row, given as a line."""
        return int(line.split(b"\t")[self._index_of_key])

    @cached_property
    def _index_of_key(self) -> int:
        return [column.name for column in self.columns].index(self.key)

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        return tuple(
            Reference(str(field.column), target.model._meta.db_table, str(target.column))
            for field in self.model._meta.local_concrete_fields
            if field.remote_field and getattr(field, "db_constraint", False)
            for target in [_target(field)]
        )


def tables(registry: Apps = apps) -> list[Table]:
    """The tables whose rows are the installation's data, those that are referred to first.

    `registry` knows the models as they are, or as they were at some state of the migrations.
    What Django notes of its migrations belongs to a database and not to the data: see
    `migrations_table`.
    """
    by_name = {
        table.name: table
        for model in registry.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
        for table in [_table(model, model._meta.local_concrete_fields)]
    }
    sorter = TopologicalSorter(
        {
            name: {reference.to_table for reference in table.references} - {name}
            for name, table in sorted(by_name.items())
        }
    )
    return [by_name[name] for name in sorter.static_order()]


def migrations_table() -> Table:
    """Which migrations are applied, without their ids and times, which differ by database."""
    migration = MigrationRecorder.Migration
    return _table(migration, [migration._meta.get_field(name) for name in ("app", "name")])


def _table(model: type[models.Model], fields: Iterable[Any]) -> Table:
    columns = [
        Column(str(field.column), _kind(field), bool(field.null), _target(field))
        for field in fields
    ]
    # By name too: a migration adds a field behind the others, wherever the code has it.
    columns.sort(key=lambda column: (column.kind.value, column.is_nullable, column.name))
    return Table(model, tuple(columns))


def _target(field: Any) -> Any:
    """The field whose values `field` holds."""
    return _target(field.target_field) if field.remote_field else field


def _kind(field: Any) -> Kind:
    try:
        return KINDS[_target(field).get_internal_type()]
    except KeyError:
        raise NotImplementedError(
            f"{field} is of a type that homepot.transfer does not know. Give it a Kind, and "
            "say in lines.py and digest.py how it is written down."
        ) from None
