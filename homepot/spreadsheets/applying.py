"""Doing what lines of an import say: some of them in one short transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from homepot.bulk import insert_rows, update_rows
from homepot.enums import LineOutcome, LineVerdict
from homepot.models import ImportLine
from homepot.spreadsheets.columns import is_same
from homepot.spreadsheets.sheet import RefusedLine, Sheet, Told

MESSAGE_LENGTH = 1000
CHANGED_MEANWHILE = "It was changed meanwhile: import the file again."


def apply_lines(sheet: Sheet, lines: Sequence[ImportLine], user: Any) -> None:
    """Do what `lines` say and store what became of each; in the caller's transaction.

    A number of statements that does not depend on theirs. Raises IntegrityError when one of
    them clashes with what others did at the same moment: then none of them is done.
    """
    things = sheet.lock(lines, user)
    new: list[Any] = []
    changed: list[Any] = []
    told: list[Told] = []
    for line in lines:
        thing = things.get(line.key, CHANGED_MEANWHILE)
        changes = {name: (old, value) for name, (old, value) in line.changes.items()}
        if isinstance(thing, (RefusedLine, str)):
            _end(line, LineOutcome.REFUSED, str(thing))
        elif line.verdict == LineVerdict.CREATE:
            new.append(thing)
            fields = {name: pair for name, pair in changes.items() if name not in sheet.fixed}
            told.append((thing, line, fields))
            _end(line, LineOutcome.CREATED)
        elif _has(thing, {name: value for name, (_, value) in changes.items()}):
            _end(line, LineOutcome.UNCHANGED)
        elif _has(thing, {name: old for name, (old, _) in changes.items()}):
            for name, (_, value) in changes.items():
                setattr(thing, name, value)
            changed.append(thing)
            told.append((thing, line, changes))
            _end(line, LineOutcome.UPDATED)
        else:
            _end(line, LineOutcome.REFUSED, CHANGED_MEANWHILE)
    _update(changed, sheet.changeable)
    _insert(new)
    if told:
        sheet.record_changes(told, user)
    store_outcomes(lines)


def store_outcomes(lines: Sequence[ImportLine]) -> None:
    update_rows(
        ImportLine,
        ("outcome", "message"),
        [(line.pk, line.outcome, line.message) for line in lines],
    )


def refuse(line: ImportLine, why: str) -> None:
    """Leave one line out, and store that."""
    _end(line, LineOutcome.REFUSED, why)
    store_outcomes([line])


def _end(line: ImportLine, outcome: LineOutcome, message: str = "") -> None:
    line.outcome, line.message = outcome, message[:MESSAGE_LENGTH]


def _has(thing: Any, values: dict[str, Any]) -> bool:
    return all(is_same(getattr(thing, name), value) for name, value in values.items())


def _update(things: Sequence[Any], columns: Sequence[str]) -> None:
    """Write `columns` of rows that are locked."""
    if things:
        now = timezone.now()
        rows = [[x.pk, *(getattr(x, name) for name in columns), now] for x in things]
        update_rows(type(things[0]), [*columns, "updated_at"], rows)


def _insert(things: Sequence[Any]) -> None:
    """Insert new rows, and set their keys."""
    if not things:
        return
    model = type(things[0])
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    pks = insert_rows(
        model,
        [field.name for field in fields],
        [[field.pre_save(thing, True) for field in fields] for thing in things],
    )
    for thing, pk in zip(things, pks, strict=True):
        thing.pk = pk
