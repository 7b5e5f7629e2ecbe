"""Changing one row: only the named columns, and what exactly changed for the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from homepot.errors import IdentifierTakenError, violated_columns

Changes = dict[str, tuple[Any, Any]]


def update_row(row: models.Model, fields: Mapping[str, Any]) -> Changes:
    """Write those of `fields` that differ from `row`, and only them, to its table.

    `row` should have been read in this transaction, under a lock. Returns the value before
    and after by field; empty when nothing differed, and then nothing was written.
    """
    changes = {
        name: (getattr(row, name), value)
        for name, value in fields.items()
        if getattr(row, name) != value
    }
    if changes:
        columns = {name: new for name, (_, new) in changes.items()}
        if hasattr(row, "updated_at"):
            columns["updated_at"] = timezone.now()
        type(row)._default_manager.filter(pk=row.pk).update(**columns)
        for name, value in columns.items():
            setattr(row, name, value)
    return changes


@contextmanager
def refuse_duplicates(**messages: str) -> Iterator[None]:
    """Turn a taken unique value, written in this block, into an IdentifierTakenError.

    `messages` holds what to say by column. The block runs in a savepoint, so that the
    transaction around it stays usable.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        columns = violated_columns(error)
        for column, message in messages.items():
            if column in columns:
                raise IdentifierTakenError(message, errors={column: [message]}) from error
        raise
