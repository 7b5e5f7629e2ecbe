"""Reading rows for an answer, as the serializer's fields say, without making model objects.

A serializer object per row costs three times as much, and even a dict per row takes longer than
its JSON does: lists are `written` from records. Fields whose database value is their JSON value are
passed through; the others convert it themselves. A field that shows a column of another table,
and takes more than that column, says so as `row_source`; None leaves the field to the view, which
fills it for all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from operator import attrgetter
from typing import Any

import msgspec
import orjson
from django.db import models
from rest_framework import serializers

from homepot.compiled import Asked, Question
from homepot.renderers import plain

# Their values come from the database as orjson takes them.
PASSED_THROUGH = (
    serializers.BooleanField,
    serializers.CharField,
    serializers.ChoiceField,
    serializers.DateTimeField,
    serializers.FloatField,
    serializers.IntegerField,
    serializers.JSONField,
    serializers.UUIDField,
)


@dataclass(frozen=True, eq=False)
class RowShape:
    """Names in the answer, where each comes from, and what converts those that need it."""

    names: tuple[str, ...]
    sources: tuple[str, ...]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]
    # Whether no field is left to the view.
    is_whole: bool

    def select(self, queryset: models.QuerySet, *further: str) -> models.QuerySet:
        """`queryset` as tuples of the sources, followed by the `further` columns."""
        return queryset.values_list(*self.sources, *further)

    def first_of(self, question: Question) -> dict[str, Any] | None:
        """The first row of `question` as a JSON object; None when there is none."""
        rows = self.as_dicts(question.refined(_select_first, self).rows())
        return rows[0] if rows else None

    def of(self, made: models.Model) -> dict[str, Any]:
        """What `first_of` answers for `made`, of which all is known: it was written just now.

        But for JSON, which databases give back in words of their own. Not where a queryset adds
        columns.
        """
        return self.as_dicts([[read(made) for read in self._readers]])[0]

    @cached_property
    def _readers(self) -> list[Callable[[Any], Any]]:
        return [_reader(source) for source in self.sources]

    def as_dicts(self, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        """Rows of `select` as JSON objects; the further columns are dropped."""
        return [dict(zip(self.names, row, strict=False)) for row in self._converted(rows)]

    def written(self, rows: Sequence[Sequence[Any]]) -> Any:
        """What `as_dicts` gives, already as JSON, which nobody can look into any more.

        Dicts where fields are left to the view; an empty list of no rows, so that it tells.
        """
        if not rows or not self.is_whole:
            return self.as_dicts(rows)
        record, count = self._record, len(self.names)
        return orjson.Fragment(_encode([record(*row[:count]) for row in self._converted(rows)]))

    @cached_property
    def _record(self) -> Any:
        """One row by its names: ten times as fast to make as a dict, and twice to write."""
        return msgspec.defstruct("Row", [(name, Any) for name in self.names], gc=False)

    def _converted(self, rows: Iterable[Sequence[Any]]) -> Iterable[Sequence[Any]]:
        if not self.converters:
            return rows
        changed = [list(row) for row in rows]
        for index, convert in self.converters:
            for row in changed:
                if row[index] is not None:
                    row[index] = convert(row[index])
        return changed


# Decimals as `plain` has them: numbers, not text.
_encode = msgspec.json.Encoder(enc_hook=plain, decimal_format="number").encode


def _reader(source: str) -> Callable[[Any], Any]:
    """What finds `source` in an object: None where a reference on the way is."""
    first, _, rest = source.partition("__")
    if not rest:
        return attrgetter(first)
    further = _reader(rest)

    def read(row: Any) -> Any:
        related = getattr(row, first)
        return None if related is None else further(related)

    return read


def _select_first(asked: Asked, rows: models.QuerySet, shape: RowShape) -> models.QuerySet:
    return shape.select(rows.order_by())[:1]


@cache
def row_shape(serializer_class: Any) -> RowShape:
    """The shape of what `serializer_class` shows; made once for each class."""
    shown = [field for field in serializer_class().fields.values() if not field.write_only]
    fields = [field for field in shown if getattr(field, "row_source", "") is not None]
    return RowShape(
        names=tuple(field.field_name for field in fields),
        sources=tuple(
            getattr(field, "row_source", field.source.replace(".", "__")) for field in fields
        ),
        converters=tuple(
            (index, field.to_representation)
            for index, field in enumerate(fields)
            if not isinstance(field, PASSED_THROUGH) and not hasattr(field, "row_source")
        ),
        is_whole=len(fields) == len(shown),
    )


def pk_of(row: models.QuerySet) -> models.QuerySet:
    """The key of the one row that `row` finds: `filter(device=pk_of(devices))`.

    Found by itself: in a join PostgreSQL does not see that all rows are of one device, and
    sorts what is there of it instead of reading an index in its order.
    """
    return row.values("pk")[:1]
