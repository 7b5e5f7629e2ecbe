"""Pages by keyset: where the last page ended, not how many rows to skip.

A page at depth one million costs what the first one does, and rows that come or go
meanwhile neither repeat nor hide others. The key is an indexed column that is never null,
and the row's id among equals.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request

from homepot.rows import RowShape

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
PARAMETERS = ("limit", "cursor", "ordering", "count")
TRUE_WORDS = ("1", "true", "yes")


@dataclass(frozen=True)
class Cursor:
    """The row next to which a page begins, and whether the page lies before it."""

    value: Any
    pk: int
    is_reverse: bool

    def encode(self) -> str:
        text = orjson.dumps([self.value, self.pk, self.is_reverse], default=str)
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, column: models.Field) -> Cursor:
        """Raises ValidationError when `text` is no cursor over `column`."""
        try:
            padded = text.encode() + b"=" * (-len(text) % 4)
            value, pk, is_reverse = orjson.loads(
                base64.b64decode(padded, altchars=b"-_", validate=True)
            )
            value = column.to_python(value)
            models.BigAutoField().run_validators(pk)
        except (ValueError, TypeError, binascii.Error, DjangoValidationError):
            raise ValidationError({"cursor": ["This is no cursor of this list."]}) from None
        is_clean = value is not None and not (isinstance(value, str) and "\0" in value)
        if not is_clean or not isinstance(pk, int) or not isinstance(is_reverse, bool):
            raise ValidationError({"cursor": ["This is no cursor of this list."]})
        return cls(value, pk, is_reverse)


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

    def page(self, queryset: QuerySet, request: Request, shape: RowShape) -> dict[str, Any]:
        """The answer's body: the rows keyed by the resource, `next`, `previous`, maybe `count`."""
        query = request.query_params
        limit = self._limit(query.get("limit"))
        name, is_descending = self._ordering(query.get("ordering"))
        column_name = self.orderings[name]
        column = _field_of(queryset.model, column_name)
        cursor = Cursor.decode(query["cursor"], column) if query.get("cursor") else None

        is_reverse = cursor is not None and cursor.is_reverse
        goes_down = is_descending != is_reverse
        order = [column_name, "pk"]
        ordered = queryset.order_by(*(f"-{part}" if goes_down else part for part in order))
        if cursor is not None:
            compare = TupleLessThan if goes_down else TupleGreaterThan
            key = Tuple(F(column_name), F("pk"))
            ordered = ordered.filter(compare(key, (cursor.value, cursor.pk)))
        rows = list(shape.select(ordered, column_name, "pk")[: limit + 1])

        has_more = len(rows) > limit
        rows = rows[:limit]
        if is_reverse:
            rows.reverse()
        before = has_more if is_reverse else cursor is not None
        after = is_reverse or has_more
        body: dict[str, Any] = {
            self.resource_name: shape.as_dicts(rows),
            "next": self._link(request, rows[-1], is_reverse=False) if after and rows else None,
            "previous": self._link(request, rows[0], is_reverse=True) if before and rows else None,
        }
        if query.get("count", "").lower() in TRUE_WORDS:
            body["count"] = queryset.order_by().count()
        return body

    def _limit(self, text: str | None) -> int:
        if text is None:
            return DEFAULT_LIMIT
        # Longer numbers are clamped too, without being converted.
        if not text.removeprefix("-").isdecimal() or not text.isascii():
            raise ValidationError({"limit": ["Send a whole number."]})
        return MAX_LIMIT if len(text) > 9 else min(max(int(text), 1), MAX_LIMIT)

    def _ordering(self, text: str | None) -> tuple[str, bool]:
        text = text or self.default_ordering
        name = text.removeprefix("-")
        if name not in self.orderings:
            known = ", ".join(self.orderings)
            raise ValidationError(
                {"ordering": [f"Order by one of {known}; a dash before it turns the order."]}
            )
        return name, text.startswith("-")

    def _link(self, request: Request, row: tuple[Any, ...], *, is_reverse: bool) -> str:
        *_, value, pk = row
        query = request.query_params.copy()
        query["cursor"] = Cursor(value, pk, is_reverse).encode()
        return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")

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
        schemas: dict[str, dict[str, Any]] = {
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LIMIT,
                "default": DEFAULT_LIMIT,
            },
            "cursor": {"type": "string", "description": "As given in `next` or `previous`."},
            "ordering": {"type": "string", "enum": choices, "default": self.default_ordering},
            "count": {"type": "boolean", "default": False},
        }
        return [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in schemas.items()
        ]


def _field_of(model: type[models.Model], path: str) -> models.Field:
    """The column at the end of a path such as "site__site_id"; it must never be null."""
    field: Any = None
    for name in path.split("__"):
        field = model._meta.get_field(name)
        model = field.related_model or model
    return field
