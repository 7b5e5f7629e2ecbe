"""Which changes of a table keep others from it, by what PostgreSQL and Django do.

Adding a column that may be null, or dropping a constraint, takes a moment however many rows
there are. What reads or writes all rows does not, and locks the table meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from django.db import models
from django.db.migrations import operations
from django.db.migrations.state import ProjectState
from django.db.models.expressions import Value
from django.db.models.functions import Now
from django.db.utils import load_backend

from homepot.database import POSTGRESQL_ENGINE
from homepot.migration_operations import AddCheckOnline, AddIndexOnline, ReplaceCheckOnline

BUSY_TABLES = frozenset({"devices", "health_checks", "jobs", "job_executions", "audit_logs"})

HEAVY_SQL = re.compile(
    r"\b(ALTER\s+TABLE|CREATE\s+(UNIQUE\s+)?INDEX(?!\s+CONCURRENTLY)|LOCK|TRUNCATE|CLUSTER|REINDEX"
    r"|VACUUM\s+FULL|UPDATE|DELETE)\b",
    re.IGNORECASE,
)
LIGHT_SQL = re.compile(
    r"\b(NOT\s+VALID|VALIDATE\s+CONSTRAINT|DROP\s+(COLUMN|CONSTRAINT)|(SET|DROP)\s+DEFAULT)\b",
    re.IGNORECASE,
)
VARCHAR = re.compile(r"varchar\((\d+)\)")
OLD_NAME = "takes a name away that processes of the version before still ask for"


def table_of(operation: Any, app_label: str, state: ProjectState) -> str:
    """The table that `operation` changes; empty for what changes none."""
    name_of_model = "old_name" if isinstance(operation, operations.RenameModel) else "name"
    name = getattr(operation, "model_name", "") or getattr(operation, name_of_model, "")
    model = state.models.get((app_label, name.lower()))
    return str(model.options.get("db_table", f"{app_label}_{name.lower()}")) if model else ""


def problems_of_sql(operation: operations.RunSQL) -> Iterator[str]:
    sql = operation.sql
    for part in [sql] if isinstance(sql, str) else sql:
        for statement in (part if isinstance(part, str) else part[0]).split(";"):
            named = BUSY_TABLES & set(re.findall(r"\w+", statement.lower()))
            if named and HEAVY_SQL.search(statement) and not LIGHT_SQL.search(statement):
                yield f"RunSQL on {', '.join(sorted(named))} takes a lock: {statement.strip()[:80]}"


def problems_of_change(
    operation: Any, app_label: str, before: ProjectState, after: ProjectState
) -> Iterator[str]:
    """What is wrong with an operation on a busy table, to be read after its name."""
    match operation:
        case AddIndexOnline() | AddCheckOnline() | ReplaceCheckOnline():
            pass
        case operations.AddIndex():
            yield "lets nobody write until the index is built; use AddIndexOnline"
        case operations.AddConstraint(constraint=models.CheckConstraint()):
            yield "lets nobody read or write while it looks at all rows; use AddCheckOnline"
        case operations.AddConstraint():
            yield "lets nobody read or write until its index is built"
        case operations.AlterUniqueTogether() | operations.AlterOrderWithRespectTo():
            yield "lets nobody read or write until it has gone through all rows"
        case operations.RenameField() | operations.RenameModel() | operations.AlterModelTable():
            yield OLD_NAME
        case operations.RemoveField() | operations.DeleteModel():
            yield OLD_NAME
        case operations.AddField():
            yield from _problems_of_new(_field(operation, app_label, after))
        case operations.AlterField():
            yield from _problems_of_altered(
                _field(operation, app_label, before), _field(operation, app_label, after)
            )


def _field(operation: Any, app_label: str, state: ProjectState) -> Any:
    return state.apps.get_model(app_label, operation.model_name)._meta.get_field(operation.name)


def _problems_of_new(field: Any) -> Iterator[str]:
    if field.many_to_many:
        return
    if field.generated or not isinstance(_database_default(field), Value | Now | None):
        yield "writes a value into all rows"
    elif not field.null and not field.has_db_default():
        yield (
            "has no value for the rows that processes of the version before add: "
            "let it be null or give it a db_default"
        )
    if field.unique or field.db_index:
        yield "lets nobody read or write until its index is built; add that by AddIndexOnline"
    if _has_reference(field):
        yield "lets nobody write while it looks at all references; use db_constraint=False"


def _problems_of_altered(old: Any, new: Any) -> Iterator[str]:
    if old.column != new.column:
        yield OLD_NAME
    old_type, new_type = (field.db_parameters(_postgresql()) for field in (old, new))
    if old_type["type"] != new_type["type"] and not _is_wider(old_type["type"], new_type["type"]):
        yield f"writes all rows anew to make {old_type['type']} {new_type['type']}"
    elif getattr(old, "db_collation", None) != getattr(new, "db_collation", None):
        yield "builds all its indexes anew"
    if new_type["check"] and new_type["check"] != old_type["check"]:
        yield "lets nobody read or write while it looks at all rows; use AddCheckOnline"
    if old.null and not new.null:
        yield "lets nobody read or write while it looks for nulls; use AddCheckOnline"
    if (new.unique and not old.unique) or (new.db_index and not old.db_index):
        yield "lets nobody write until its index is built; use AddIndexOnline"
    if _has_reference(new) and not (
        _has_reference(old) and old.related_model._meta.label == new.related_model._meta.label
    ):
        yield "lets nobody write while it looks at all references"


def _database_default(field: Any) -> Any:
    return field._db_default_expression if field.has_db_default() else None


def _has_reference(field: Any) -> bool:
    return field.is_relation and getattr(field, "db_constraint", False)


def _is_wider(old: str, new: str) -> bool:
    """Whether every text that fits `old` fits `new`, so that PostgreSQL need not look."""
    limit = VARCHAR.fullmatch(old)
    new_limit = VARCHAR.fullmatch(new)
    if limit is None:
        return False
    return new in ("text", "varchar") or (
        new_limit is not None and int(new_limit[1]) >= int(limit[1])
    )


@cache
def _postgresql() -> Any:
    """A connection that is never opened: it knows the types of columns, on SQLite too."""
    return load_backend(POSTGRESQL_ENGINE).DatabaseWrapper({"OPTIONS": {}, "TIME_ZONE": None})
