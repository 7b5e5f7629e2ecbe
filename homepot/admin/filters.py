"""What the admin's lists are filtered by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    DropdownFilter,
    RangeDateFilter,
)
from unfold.utils import parse_date_str

from homepot.forms import MAX_DIGITS


class RelatedFilter(AutocompleteSelectFilter):
    """Rows of one site, device or account, chosen by typing a part of its name."""

    def choices(self, changelist: Any) -> Iterable[Any]:
        for choice in super().choices(changelist):
            # The one chosen is shown by name, so it must be one that the reader may know of.
            field = choice["form"].fields[self.lookup_kwarg]
            field.queryset = field.queryset.visible_to(self.request.user)
            yield choice


def fits_a_column(value: str) -> bool:
    """Whether no number in `value`, "1" or "1,2", is larger than keys are; SQLite would crash."""
    parts = (part.lstrip("-") for part in value.split(","))
    return all(len(part) <= MAX_DIGITS for part in parts if part.isdecimal())


class InUseFilter(DropdownFilter):
    """Things in use, unless retired ones are asked for."""

    title = "use"
    parameter_name = "use"
    all_option = ("", "In use")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("retired", "Retired"), ("any", "In use or retired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "any":
                return queryset
            case "retired":
                return queryset.filter(is_active=False)
        return queryset.filter(is_active=True)


class DateRangeFilter(RangeDateFilter):
    """Rows of some days in UTC, the first and the last included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        first, last = (
            parse_date_str(self.used_parameters.get(f"{self.parameter_name}_{end}", ""))
            for end in ("from", "to")
        )
        if first:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": _midnight(first)})
        if last and last.year < datetime.max.year:
            end = _midnight(last) + timedelta(days=1)
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": end})
        return queryset


def _midnight(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
