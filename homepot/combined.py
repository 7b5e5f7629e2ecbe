"""Several changes in one statement of PostgreSQL's, which is a transaction of its own.

    combined = Combined()
    combined.insert("made", site, returning="id")
    combined.insert("told", row, {"site_id": "made.id"}, source="made")
    rows = combined.rows("SELECT id FROM made")

Each part is a CTE, and later ones read what earlier ones return. Where BEGIN, each INSERT and
COMMIT go back and forth, they take several times as long. SQLite has no such statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from homepot.changes import NO_EXPRESSIONS, insertion
from homepot.statements import fetch_rows


class Combined:
    """The parts so far, and the values for the `%s` in them."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._values: list[Any] = []

    def add(self, name: str, sql: str, values: Sequence[Any] = ()) -> None:
        """A part that others know as `name`."""
        self._parts.append(f"{name} AS ({sql})")
        self._values += values

    def insert(
        self,
        name: str,
        row: models.Model,
        expressions: Mapping[str, str] = NO_EXPRESSIONS,
        *,
        source: str = "",
        returning: str = "",
    ) -> None:
        """A part that inserts `row`, or with `source` once for each row of that part.

        `expressions` are columns, by attribute, that are filled by SQL over `source`; a `%s` in
        it stands for the value that `row` has there.
        """
        sql, values = insertion(row, expressions, source)
        self.add(name, f"{sql} RETURNING {returning}" if returning else sql, values)

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        """Do all of it, and answer `select`."""
        return fetch_rows(f"WITH {', '.join(self._parts)} {select}", self._values)
