"""Querysets that are made into SQL once, and sent again with other values.

Django takes far longer to build a queryset and to make SQL of it than PostgreSQL takes to
answer. Here both happen for the first question of its kind alone:

    def device_named(asked: Asked) -> QuerySet:
        return Device.objects.visible_to(asked.user).filter(name=asked["name"]).values_list("pk")

    rows = Question(Asked(user, now, {"name": "Till 1"}), device_named).rows()

The function is shown placeholders where the request has its values, so it cannot keep any. What
else makes other SQL is given to it as further arguments, which with the standing of the user
tell one kind from another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple, Self, TypeVar

import orjson
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models import Q, QuerySet
from django.db.models.expressions import Expression
from msgspec import Raw
from psycopg import sql

from accounts.models import User
from accounts.policy import Standing
from accounts.presumed import NotConfirmed, PresumedUser, is_still, noted_after
from homepot.statements import fetch_rows

# Callers choose limits and filters, and with them the number of kinds.
MAX_KINDS = 1000
NO_VALUES: Mapping[str, Any] = MappingProxyType({})

T = TypeVar("T", bound=models.Model)
Find = Callable[["Asked"], Any]


class Asked:
    """What one request has of its own: who asks, when, and values by name."""

    __slots__ = ("now", "user", "values")

    def __init__(self, user: Any, now: Any, values: Mapping[str, Any] = NO_VALUES) -> None:
        self.user = user
        self.now = now
        self.values = values

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def as_placeholders(self, standing: Standing | None) -> Asked:
        """The same without any value, by somebody of that `standing`."""
        return Asked(
            user=standing
            and standing._replace(
                pk=Placeholder(attrgetter("user.pk")),
                username=Placeholder(attrgetter("user.username")),
                digest=Placeholder(attrgetter("user.digest")),
            ),
            now=Placeholder(attrgetter("now")),
            values={name: Placeholder(_value_named(name)) for name in self.values},
        )


class Placeholder(Expression):
    """Stands in a queryset for a value that each request has of its own; `find` finds it."""

    def __init__(self, find: Find) -> None:
        super().__init__()
        self.find = find

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


def derived(value: Any, how: Callable[[Any], Any]) -> Any:
    """What `how` makes of `value`; of a placeholder, one that is filled with that."""
    if isinstance(value, Placeholder):
        find = value.find
        return Placeholder(lambda asked: how(find(asked)))
    return how(value)


class Question(NamedTuple):
    """The queryset `build(asked, *kind)`; `build` may look at nothing else that changes."""

    asked: Asked
    build: Callable[..., QuerySet]
    kind: tuple[Hashable, ...] = ()
    # Not where a value is looked at, and not only compared, while the queryset is built.
    is_kept: bool = True

    def queryset(self) -> QuerySet:
        return self.build(self.asked, *self.kind)

    def first(self, model: type[T]) -> T | None:
        """The first row as an object of `model`, which the queryset is of; None without one."""
        names = _attributes(model)
        rows = self.refined(_select_whole, names).rows()
        if not rows:
            return None
        return model.from_db(connection.alias, names, [read_json(value) for value in rows[0]])

    def refined(
        self,
        by: Callable[..., QuerySet],
        *kind: Hashable,
        values: Mapping[str, Any] | None = None,
        is_kept: bool = True,
    ) -> Question:
        """The question for `by(asked, queryset, *kind)`, and asked with further `values`."""
        asked = self.asked
        return Question(
            Asked(asked.user, asked.now, {**asked.values, **values}) if values else asked,
            _refined,
            (self.build, self.kind, by, kind),
            self.is_kept and is_kept,
        )

    def rows(self) -> list[Any]:
        """What the queryset, which must be one of `values_list`, gives, row by row; JSON as stored.

        Raises NotConfirmed when the user is only presumed, and no rows came to confirm it.
        """
        rows = self._rows()
        user = self.asked.user
        if isinstance(user, PresumedUser):
            if not rows:
                raise NotConfirmed
            user.is_confirmed = True
        return rows

    def _rows(self) -> list[Any]:
        if not self.is_kept:
            return list(_if_confirmed(self.queryset(), self.asked))
        compiled = self._compiled()
        return compiled.rows(self.asked) if compiled else []

    def sql(self) -> tuple[str, Sequence[Any]]:
        """The queryset as SQL with its values, to be part of a statement.

        Raises EmptyResultSet when no row can be an answer.
        """
        if not self.is_kept:
            return self.queryset().query.sql_with_params()
        compiled = self._compiled()
        if compiled is None:
            raise EmptyResultSet
        return compiled.sql, compiled.values_for(self.asked)

    def _compiled(self) -> _Compiled | None:
        """None when no row can be an answer."""
        user = self.asked.user
        standing = None if user is None else Standing.of(user)
        key = (self.build, self.kind, standing, settings.API_ANONYMOUS_READ)
        try:
            return _compiled[key]
        except KeyError:
            if len(_compiled) >= MAX_KINDS:
                _compiled.clear()
            asked = self.asked.as_placeholders(standing)
            queryset = _if_confirmed(self.build(asked, *self.kind), asked)
            return _compiled.setdefault(key, _Compiled.from_queryset(queryset))


def who_asks(user: PresumedUser, now: datetime) -> Question:
    """Gives the key of `user`, if that is who asks."""
    return Question(Asked(user, now), _presumed)


def _presumed(asked: Asked) -> QuerySet:
    return User.objects.filter(pk=asked.user.pk).values_list("pk")


def read_json(value: Any) -> Any:
    """What the JSON of a row holds; anything else is what it is."""
    return orjson.loads(bytes(value)) if isinstance(value, Raw) else value


@cache
def _attributes(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(column.attname for column in model._meta.concrete_fields)


def _select_whole(asked: Asked, rows: QuerySet, names: tuple[str, ...]) -> QuerySet:
    return rows.order_by().values_list(*names)[:1]


def _if_confirmed(rows: QuerySet, asked: Asked) -> QuerySet:
    """`rows`; without a presumed user's still being who it was, none."""
    if not getattr(asked.user, "credential", ""):
        return rows
    rows = rows.all()
    # A queryset takes no condition once it is cut, and this one is about all that it reads.
    low, high = rows.query.low_mark, rows.query.high_mark
    rows.query.clear_limits()
    since = derived(asked.now, noted_after)
    rows.query.add_q(Q(is_still(asked.user, asked.now, since)))
    rows.query.set_limits(low, high)
    return rows


def _refined(
    asked: Asked,
    build: Callable[..., QuerySet],
    kind: tuple[Hashable, ...],
    by: Callable[..., QuerySet],
    further: tuple[Hashable, ...],
) -> QuerySet:
    return by(asked, build(asked, *kind), *further)


@dataclass(frozen=True)
class _Compiled:
    """SQL, what finds each of its values, and what converts the columns that need it."""

    sql: str
    # Each once, and where in the SQL it stands: the time stands in many places.
    values: tuple[Find, ...]
    places: tuple[int, ...]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]
    adapt_time: Callable[[datetime], Any] | None

    @classmethod
    def from_queryset(cls, queryset: QuerySet) -> Self | None:
        """None when no row can be an answer, whatever the values."""
        compiler = queryset.query.get_compiler(connection=connection)
        try:
            text, found = compiler.as_sql()
        except EmptyResultSet:
            return None
        values: dict[Find, int] = {}
        places: list[int] = []
        unplaced = iter(found)

        def place(match: re.Match[str]) -> str:
            if match[0] == "%%":
                return "%%"
            value = next(unplaced)
            if isinstance(value, Placeholder):
                places.append(values.setdefault(value.find, len(values)))
            elif isinstance(value, datetime):  # SQLite's are text by now
                raise TypeError(f"{value!r} in {text} belongs to one request")
            elif connection.vendor == "postgresql":
                # The plan for all values, which saves planning, can then use partial indexes.
                return sql.quote(value).replace("%", "%%")
            else:
                places.append(values.setdefault(lambda asked: value, len(values)))
            return "%s"

        text = re.sub("%[%s]", place, text)
        return cls(
            text,
            tuple(values),
            tuple(places),
            tuple(_converters(compiler)),
            connection.ops.adapt_datetimefield_value if connection.vendor == "sqlite" else None,
        )

    def values_for(self, asked: Asked) -> list[Any]:
        """As they stand in the SQL."""
        values = self._values(asked)
        return [values[place] for place in self.places]

    def _values(self, asked: Asked) -> list[Any]:
        values = [find(asked) for find in self.values]
        if adapt := self.adapt_time:
            values = [adapt(value) if isinstance(value, datetime) else value for value in values]
        return values

    def rows(self, asked: Asked) -> list[Any]:
        found = fetch_rows(self.sql, self._values(asked), self.places)
        if not self.converters:
            return found
        rows = [list(row) for row in found]
        for index, convert in self.converters:
            for row in rows:
                row[index] = convert(row[index])
        return rows


_compiled: dict[tuple[Hashable, ...], _Compiled | None] = {}


def _value_named(name: str) -> Find:
    return lambda asked: asked.values[name]


def _converters(compiler: Any) -> Iterator[tuple[int, Callable[[Any], Any]]]:
    selected = [column for column, *_ in compiler.select[: compiler.col_count]]
    for index, (steps, expression) in compiler.get_converters(selected).items():
        if isinstance(expression.output_field, models.JSONField):
            yield index, _json_as_is
        else:
            yield index, _in_turn(steps, expression)


def _json_as_is(text: str | None) -> Raw | None:
    """To read JSON and to write it again takes longer than all else about a row."""
    return None if text is None else Raw(text)


def _in_turn(steps: list[Callable[..., Any]], expression: Any) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        for step in steps:
            value = step(value, expression, connection)
        return value

    return convert
