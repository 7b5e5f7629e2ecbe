"""What a list of things is as a spreadsheet: its columns, and what an import makes of lines.

An app has a subclass for each of its lists, named in `settings.SHEETS`. Lines are judged twice.
First all of them, outside of a transaction, for the preview; what they would change is kept with
the values that they would replace. Then some at a time, under locks, when they are applied
(`applying.py`): what others changed meanwhile is left as it is, and said.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.module_loading import import_string
from rest_framework import serializers

from homepot.enums import LineVerdict
from homepot.models import DataImport, ImportLine
from homepot.spreadsheets.columns import KEPT, Column, is_same
from homepot.spreadsheets.reading import UnreadableFileError

# What was done: the thing, its line, and the values before and after by field.
Told = tuple[Any, ImportLine, dict[str, tuple[Any, Any]]]


class RefusedLine(Exception):
    """Why a line is left out."""


@dataclass(frozen=True)
class Stored:
    """A thing that an importer may know of, as it is: its values by column."""

    pk: int
    is_active: bool
    values: dict[str, Any]


@dataclass
class Judged:
    """A line of a file, what it gives by column, and what it is going to do."""

    number: int
    given: dict[str, str]
    # The id of the thing it is about; made where the line gives none.
    key: str = ""
    label: str = ""
    stored: Stored | None = None
    verdict: LineVerdict = LineVerdict.UNCHANGED
    message: str = ""
    # By column, the values before and after; before is None for a new thing.
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def refuse(self, why: object) -> None:
        self.verdict, self.message, self.changes = LineVerdict.REFUSED, str(why), {}


class Sheet(ABC):
    model: ClassVar[type[models.Model]]
    # As in settings.SHEETS, and what one of its things is called.
    name: ClassVar[str]
    thing: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    # The column that says which thing a line is about, and all that never change.
    key: ClassVar[str]
    fixed: ClassVar[tuple[str, ...]]
    # What new things still need after an import, for people.
    new_need: ClassVar[str] = ""
    # Checks what a line gives as the API does.
    serializer_class: ClassVar[type[serializers.Serializer]]

    @abstractmethod
    def may_import(self, user: Any) -> bool:
        """Whether `user` may change things of this list at all."""

    @abstractmethod
    def visible_to(self, user: Any) -> Any:
        """The things that `user` may know of."""

    @abstractmethod
    def make_key(self, given: Mapping[str, Any]) -> str:
        """An id for a new thing whose line gives none."""

    @abstractmethod
    def check(self, lines: Sequence[Judged], user: Any, claims: dict[Any, Any]) -> None:
        """Refuse those of `lines` that other rows, or what `user` may, stand in the way of.

        `claims` is empty at first and kept from one part of a file to the next.
        """

    @abstractmethod
    def lock(self, lines: Sequence[ImportLine], user: Any) -> Mapping[str, Any]:
        """What `lines` are about, by id: rows under a lock, or new things that are not saved yet.

        For a line that cannot be done any more, a RefusedLine or nothing.
        """

    @abstractmethod
    def record_changes(self, told: Sequence[Told], user: Any) -> None:
        """Write an audit row for each of `told`."""

    @abstractmethod
    def record_end(self, data_import: DataImport, user: Any) -> None:
        """Write the audit row of the import as a whole, which has ended."""

    @abstractmethod
    def record_export(self, format: str, filters: Mapping[str, Any], user: Any) -> None:
        """Write the audit row of an export."""

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def taken(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.is_taken)

    @cached_property
    def changeable(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.taken if column.name not in self.fixed)

    def read_head(self, cells: Sequence[str]) -> list[Column | None]:
        """The column of each cell of the first line; None for an empty one.

        Raises UnreadableFileError for unknown and repeated names.
        """
        known = ", ".join(column.name for column in self.taken)
        found: list[Column | None] = []
        for cell in cells:
            name = cell.strip().lower().replace(" ", "_").replace("-", "_")
            if name and name not in self.by_name:
                raise UnreadableFileError(
                    f"The first line names a column {cell.strip()!r}, which is not known. "
                    f"It may name: {known}."
                )
            column = self.by_name.get(name)
            if column is not None and column in found:
                raise UnreadableFileError(f"The first line names the column {name} twice.")
            found.append(column)
        if not any(column is not None and column.is_taken for column in found):
            raise UnreadableFileError(f"The first line must name columns, some of: {known}.")
        return found

    def judge(self, lines: Sequence[Judged], user: Any, claims: dict[Any, Any]) -> None:
        """Say of `lines`, which come one after the other in a file, what they are going to do."""
        keys = [line.key for line in lines if line.key]
        stored = self.find(keys, user)
        taken_keys = self.all_keys(keys) - stored.keys()
        open_lines = []
        for line in lines:
            if line.verdict == LineVerdict.REFUSED:
                continue
            line.stored = stored.get(line.key)
            try:
                if line.key in taken_keys:
                    raise RefusedLine(f"The {self.thing} id {line.key} is taken; choose another.")
                self.judge_line(line)
            except RefusedLine as why:
                line.refuse(why)
            else:
                open_lines.append(line)
        self.check(open_lines, user, claims)

    def find(self, keys: Iterable[str], user: Any) -> dict[str, Stored]:
        """Those of the things with these ids that `user` may know of."""
        names = [column.name for column in self.taken]
        paths = [column.path for column in self.taken]
        rows = self.visible_to(user).filter(**{f"{self.key}__in": keys}).order_by()
        found = {}
        for pk, is_active, *values in rows.values_list("pk", "is_active", *paths):
            named = dict(zip(names, values, strict=True))
            found[named[self.key]] = Stored(pk, is_active, named)
        return found

    def all_keys(self, keys: Iterable[str]) -> set[str]:
        """Those of the ids that some thing has, whoever may know of it."""
        rows = self.model._default_manager.filter(**{f"{self.key}__in": keys}).order_by()
        return set(rows.values_list(self.key, flat=True))

    def judge_line(self, line: Judged) -> None:
        """Set what `line` changes and its verdict; raises RefusedLine."""
        stored = line.stored
        line.label = line.given.get("name") or (stored.values["name"] if stored else "")
        values = self._values(line)
        if stored is None:
            line.verdict = LineVerdict.CREATE
            line.changes = {name: (None, value) for name, value in values.items()}
            line.key = line.key or self.make_key(values)
            return
        line.changes = {
            name: (stored.values[name], value)
            for name, value in values.items()
            if not is_same(stored.values[name], value)
        }
        if line.changes and not stored.is_active:
            raise RefusedLine("It is retired and cannot be changed.")
        if line.changes:
            line.verdict = LineVerdict.UPDATE

    def new_values(self, line: ImportLine) -> dict[str, Any]:
        """The fields of a new thing, but for those that say which and where it is."""
        changes = line.changes.items()
        return {name: value for name, (_, value) in changes if name not in self.fixed}

    def _values(self, line: Judged) -> dict[str, Any]:
        """What `line` gives and a file does not show of it already, as the API takes it."""
        stored = line.stored
        values, given = {}, {}
        for name, text in line.given.items():
            column = self.by_name[name]
            if stored is not None and (
                name in self.fixed or column.is_shown_as(stored.values[name], text)
            ):
                continue
            if text:
                try:
                    given[name] = column.parse(text)
                except ValueError as error:
                    raise RefusedLine(f"{name}: {error}") from None
            elif column.empty is not KEPT:
                values[name] = column.empty
        serializer: Any = self._checker if stored is not None else self._new_checker
        try:
            return values | serializer.to_internal_value(given)
        except serializers.ValidationError as error:
            raise RefusedLine(_as_text(error.detail)) from None

    @cached_property
    def _checker(self) -> serializers.Serializer:
        return self.serializer_class(partial=True)

    @cached_property
    def _new_checker(self) -> serializers.Serializer:
        return self.serializer_class()


def _as_text(detail: Any) -> str:
    return " ".join(f"{name}: {' '.join(map(_reason, texts))}" for name, texts in detail.items())


def _reason(text: Any) -> str:
    """In a file a value is a cell, and only what is new needs it."""
    is_missing = getattr(text, "code", "") == "required"
    return "It cannot be empty in a new line." if is_missing else str(text)


def sheet_named(name: str) -> Sheet:
    sheet: Sheet = import_string(settings.SHEETS[name])
    return sheet
