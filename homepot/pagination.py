"""Pages by keyset: where the last page ended, not how many rows to skip.

A page at depth one million costs what the first one does, and rows that come or go
meanwhile neither repeat nor hide others. The key is an indexed column that is never null,
and the row's id among equals.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import orjson
from django.db import models
from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from rest_framework.exceptions import ValidationError
from rest_framework.fields import BooleanField
from rest_framework.pagination import BasePagination
from rest_framework.request import Request

from homepot.compiled import Asked, Question
from homepot.fields import UTCDateTimeField
from homepot.rows import RowShape

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
# What others ask for is read as the next of these, and cut.
USUAL_LIMITS = (1, 2, 5, 10, 20, 50, 100, 200, 500, MAX_LIMIT)
PARAMETERS = ("limit", "cursor", "ordering", "count")
MAX_INTEGER = 2**63 - 1
ID_COLUMN = models.BigAutoField()
TIME_FIELD = UTCDateTimeField()


@dataclass(frozen=True)
class Cursor:
    """The row next to which a page begins, and whether the page lies before it.

    `order` names the list and its ordering, for which alone the position means something.
    """

    order: str
    value: Any
    pk: int
    is_reverse: bool

    def encode(self) -> str:
        text = orjson.dumps([self.order, self.value, self.pk, self.is_reverse])
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, order: str, column: models.Field) -> Cursor:
        """Raises ValidationError when `text` is no cursor over `column` in that `order`."""
        try:
            padded = text.encode() + b"=" * (-len(text) % 4)
            parts = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            match parts:
                case [str(given), value, int(pk), bool(is_reverse)] if given == order:
                    return cls(order, _checked(value, column), _checked(pk, ID_COLUMN), is_reverse)
        except (ValueError, ValidationError):
            pass  # base64 and JSON raise ValueError
        raise ValidationError({"cursor": ["This is no cursor of this list."]})


def rows_from(
    queryset: QuerySet, column: str, is_descending: bool, cursor: Cursor | None
) -> QuerySet:
    """`queryset` in the order of `column` and id, from `cursor` on, away from where it looks."""
    goes_down = is_descending != (cursor is not None and cursor.is_reverse)
    ordered = queryset.order_by(*(f"-{part}" if goes_down else part for part in (column, "pk")))
    if cursor is None:
        return ordered
    compare = TupleLessThan if goes_down else TupleGreaterThan
    return ordered.filter(compare(Tuple(F(column), F("pk")), (cursor.value, cursor.pk)))


def page_of(rows: list[Any], limit: int, cursor: Cursor | None) -> tuple[list[Any], bool, bool]:
    """The page among the first `limit` + 1 or more `rows_from` somewhere, in the order of the list.

    Also whether there are rows before it, and after it.
    """
    has_more = len(rows) > limit
    rows = rows[:limit]
    if cursor is not None and cursor.is_reverse:
        return rows[::-1], has_more, True
    return rows, cursor is not None, has_more


def _rows_to_read(limit: int) -> int:
    """At least one more than `limit`: few numbers, since each makes SQL of its own."""
    return next(usual for usual in USUAL_LIMITS if usual >= limit) + 1


def _select_page(
    asked: Asked,
    rows: QuerySet,
    shape: RowShape,
    column: str,
    is_descending: bool,
    is_reverse: bool | None,
    row_count: int,
) -> QuerySet:
    """`rows` as `page_of` wants them; without a cursor, `is_reverse` is None."""
    cursor = None
    if is_reverse is not None:
        cursor = Cursor("", asked["cursor"], asked["cursor_pk"], is_reverse)
    ordered = rows_from(rows, column, is_descending, cursor)
    # A column that is shown anyway is not read twice: see `_value_at`.
    further = ("pk",) if column in shape.sources else (column, "pk")
    return shape.select(ordered, *further)[:row_count]


def _value_at(shape: RowShape, column: str) -> int:
    """Where a row of `_select_page` has the value of `column`; its id is the last."""
    return shape.sources.index(column) if column in shape.sources else -2


class KeysetPagination(BasePagination):
    """`limit`, `cursor`, `ordering` and `count` of one list.

    `orderings` maps the public names to columns; `default_ordering` is one of them, with a
    dash for descending.
    """

    def __init__(
        self, *, resource_name: str, orderings: Mapping[str, str], default_ordering: str
    ) -> None:
        self.resource_name = resource_name
        self.orderings = orderings
        self.default_ordering = default_ordering

    def page(
        self, question: Question, model: type[models.Model], request: Request, shape: RowShape
    ) -> dict[str, Any]:
        """The answer's body: the rows keyed by the resource, `next`, `previous`, maybe `count`.

        `question` is for all rows of the list, which are of `model`.
        """
        query = request.query_params
        limit = self._limit(query.get("limit"))
        wants_count = self._wants_count(query.get("count"))
        name, is_descending = self._ordering(query.get("ordering"))
        column = self.orderings[name]
        order = f"{self.resource_name} {'-' if is_descending else ''}{name}"
        cursor = None
        if "cursor" in query:
            cursor = Cursor.decode(query["cursor"], order, field_of(model, column))

        of_page = question.refined(
            _select_page,
            shape,
            column,
            is_descending,
            cursor and cursor.is_reverse,
            _rows_to_read(limit),
            values={"cursor": cursor.value, "cursor_pk": cursor.pk} if cursor else None,
        )
        rows, before, after = page_of(of_page.rows(), limit, cursor)
        body: dict[str, Any] = {
            self.resource_name: shape.written(rows),
            "next": None,
            "previous": None,
        }
        value_at = _value_at(shape, column)
        if after and rows:
            end = Cursor(order, rows[-1][value_at], rows[-1][-1], is_reverse=False)
            body["next"] = _link(request, end)
        if before and rows:
            start = Cursor(order, rows[0][value_at], rows[0][-1], is_reverse=True)
            body["previous"] = _link(request, start)
        if wants_count:
            body["count"] = question.queryset().order_by().count()
        return body

    def _limit(self, text: str | None) -> int:
        if text is None:
            return DEFAULT_LIMIT
        digits = text.removeprefix("-")
        if not digits.isdecimal() or not digits.isascii():
            raise ValidationError({"limit": ["Send a whole number."]})
        if text.startswith("-"):
            return 1
        # Longer numbers are clamped too, without being converted.
        return MAX_LIMIT if len(digits) > 9 else min(max(int(digits), 1), MAX_LIMIT)

    def _wants_count(self, text: str | None) -> bool:
        try:
            return text is not None and BooleanField().run_validation(text)
        except ValidationError as error:
            raise ValidationError({"count": error.detail}) from None

    def _ordering(self, text: str | None) -> tuple[str, bool]:
        text = text or self.default_ordering
        name = text.removeprefix("-")
        if name not in self.orderings:
            known = ", ".join(self.orderings)
            raise ValidationError(
                {"ordering": [f"Order by one of {known}; a dash before it turns the order."]}
            )
        return name, text.startswith("-")

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": [self.resource_name, "next", "previous"],
            "properties": {
                self.resource_name: schema,
                "next": link,
                "previous": link,
                "count": {"type": "integer", "description": "Only with count=true."},
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        choices = [sign + name for name in self.orderings for sign in ("", "-")]
        limits = {"minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        parameters: dict[str, tuple[str, dict[str, Any]]] = {
            "limit": ("Rows of one page.", {"type": "integer"} | limits),
            "cursor": ("As given in `next` or `previous`.", {"type": "string"}),
            "ordering": (
                "A dash turns the order.",
                {"type": "string", "enum": choices, "default": self.default_ordering},
            ),
            "count": ("Whether to count all rows.", {"type": "boolean", "default": False}),
        }
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": description,
                "schema": schema,
            }
            for name, (description, schema) in parameters.items()
        ]


def _link(request: Request, cursor: Cursor) -> str:
    query = request.query_params.dict() | {"cursor": cursor.encode()}
    parts = [_encoded(name, value) for name, value in query.items()]
    return request.build_absolute_uri(f"{request.path}?{'&'.join(parts)}")


def _encoded(name: str, value: str) -> str:
    # A cursor is another one each time, and consists of letters that stay what they are.
    return f"cursor={value}" if name == "cursor" else _encoded_once(name, value)


@lru_cache(maxsize=200)
def _encoded_once(name: str, value: str) -> str:
    return urlencode({name: value})


def _checked(value: Any, column: models.Field) -> Any:
    """`value`, which anybody may have written, if `column` can be compared with it."""
    match column, value:
        case models.DateTimeField(), str():
            return TIME_FIELD.run_validation(value)
        case models.CharField(), str() if "\0" not in value:
            return value
        case models.IntegerField(), int() if -MAX_INTEGER <= value <= MAX_INTEGER:
            return value
    raise ValidationError


def field_of(model: type[models.Model], path: str) -> models.Field:
    """The column at the end of a path such as "site__site_id"; it must never be null."""
    field: Any = None
    for name in path.split("__"):
        field = model._meta.get_field(name)
        model = field.related_model or model
    return field
