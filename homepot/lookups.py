"""Lookups of our own, for `filter()`, `Q` and constraints."""

from __future__ import annotations

from typing import Any

from django.db.models import CharField
from django.db.models.lookups import In


@CharField.register_lookup
class OneOf(In):
    """`status__one_of=DeviceStatus.values` in a CheckConstraint: as `in`, but quicker to check.

    PostgreSQL reads its constraints anew for each statement that writes to their table. Of `in`
    it keeps a tree with a leaf for each word; of this a single value.
    """

    lookup_name = "one_of"

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s::text[])", [*parameters, list(self.rhs)]
