"""The admin's lists, at any size: a page begins where the last one ended.

Opening one takes a constant number of statements. Rows are not skipped to get to a page, and
are counted up to a limit only, or not at all where the table is long.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from rest_framework.exceptions import ValidationError
from unfold.views import ChangeList as UnfoldChangeList

from homepot.admin.filters import fits_a_column
from homepot.pagination import Cursor, field_of, page_of, rows_from

CURSOR_VAR = "cursor"


class Pages:
    """What the templates ask of a paginator."""

    template_name = "homepot/admin/pages.html"

    def __init__(self, per_page: int) -> None:
        self.per_page = per_page


class ChangeList(UnfoldChangeList):
    """A page of a list, completed by its ModelAdmin in one go.

    It is ordered by one column and the id; the column must be indexed with it and never null.
    """

    first_url: str | None = None
    previous_url: str | None = None
    next_url: str | None = None

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        for name, values in request.GET.lists():
            if name not in (SEARCH_VAR, CURSOR_VAR) and not all(map(fits_a_column, values)):
                raise IncorrectLookupParameters(f"{name} is out of range.")
        super().__init__(request, *args, **kwargs)
        self.title = capfirst(self.opts.verbose_name_plural)

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet:
        # Where a page begins is no filter; the links to other orders and filters forget it.
        self.params.pop(CURSOR_VAR, None)
        self.filter_params.pop(CURSOR_VAR, None)
        return super().get_queryset(request, *args, **kwargs).defer(*self.model_admin.list_defer)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet) -> list[str]:
        first: str = super().get_ordering(request, queryset)[0]
        self.is_descending = first.startswith("-")
        column = first.removeprefix("-")
        self.order_column = self.lookup_opts.pk.name if column == "pk" else column
        sign = "-" if self.is_descending else ""
        return [f"{sign}{self.order_column}", f"{sign}pk"]

    def get_results(self, request: HttpRequest) -> None:
        sign = "-" if self.is_descending else ""
        order = f"{self.opts.label_lower} {sign}{self.order_column}"
        cursor = self._cursor(request, order)
        found = rows_from(self.queryset, self.order_column, self.is_descending, cursor)
        rows, has_before, has_after = page_of(
            list(found[: self.list_per_page + 1]), self.list_per_page, cursor
        )
        self.result_list: list[Any] = rows
        self.paginator = Pages(self.list_per_page)
        self._count(cursor is not None or has_after)
        if has_before:
            self.first_url = self.get_query_string()
        if rows and has_before:
            self.previous_url = self._url(order, rows[0], is_reverse=True)
        if rows and has_after:
            self.next_url = self._url(order, rows[-1], is_reverse=False)
        # What else Django's and unfold's templates ask.
        self.multi_page = self.can_show_all = self.show_all = False
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.full_result_count = self.result_count
        self.model_admin.describe_rows(self.result_list)

    @property
    def count_text(self) -> str:
        """How many rows there are, as far as they were counted."""
        text: str = self.model_admin.counted(self.result_count)
        match self.counted:
            case "page":
                return f"{text} on this page"
            case "limit":
                return f"more than {text}"
        return text

    @property
    def row_names(self) -> tuple[str, str]:
        names: tuple[str, str] = self.model_admin.row_names()
        return names

    def get_filters(self, request: HttpRequest) -> Any:
        """Named as the columns of the list are, where these have other names than the fields."""
        found: Any = super().get_filters(request)
        for spec in found[0]:
            path = getattr(spec, "field_path", None)
            spec.title = self.model_admin.filter_titles.get(path, spec.title)
        return found

    def _cursor(self, request: HttpRequest, order: str) -> Cursor | None:
        if not (text := request.GET.get(CURSOR_VAR)):
            return None
        try:
            return Cursor.decode(text, order, field_of(self.model, self.order_column))
        except ValidationError as error:
            raise IncorrectLookupParameters("This is no page of this list.") from error

    def _count(self, is_part: bool) -> None:
        """Set `result_count` and what it counts: "all" rows, to a "limit", or of the "page"."""
        limit = self.model_admin.count_at_most
        self.result_count, self.counted = len(self.result_list), "page" if is_part else "all"
        # A page that shows everything needs no statement for it.
        if is_part and limit:
            count = self.queryset.order_by().values("pk")[: limit + 1].count()
            self.result_count, self.counted = min(count, limit), "limit" if count > limit else "all"

    def _url(self, order: str, row: Any, *, is_reverse: bool) -> str:
        value = attrgetter(self.order_column.replace("__", "."))(row)
        cursor = Cursor(order, value, row.pk, is_reverse)
        return str(self.get_query_string({CURSOR_VAR: cursor.encode()}))
