"""The columns of a list as a spreadsheet."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rest_framework.exceptions import APIException

from homepot.parsers import loads
from homepot.spreadsheets.writing import Cell, cell_of
from homepot.text import with_formula

# An empty cell says nothing: what is there stays, and what is new gets its default.
KEPT = object()
# XLSX keeps 15 digits of a number.
XLSX_PRECISION = 1e-14


@dataclass(frozen=True)
class Column:
    """One column. `source` is the path of its value in the database, its name without one.

    An import takes no notice of a column that is not `is_taken`; in the others an empty cell
    stands for `empty`, and `parse`, which may raise ValueError, turns text into what a
    serializer's field of that name takes.
    """

    name: str
    means: str = ""
    source: str = ""
    is_taken: bool = True
    empty: Any = KEPT
    parse: Callable[[str], Any] = str

    @property
    def path(self) -> str:
        return self.source or self.name

    @property
    def is_kept_empty(self) -> bool:
        return self.empty is KEPT

    def cell(self, value: Any) -> Cell:
        """`value` as a file shows it."""
        return "" if value == self.empty else cell_of(value)

    def is_shown_as(self, value: Any, text: str) -> bool:
        """Whether `text`, as it was read from a file, is how a file shows `value`.

        Spreadsheets change how lines end, and the space around a text.
        """
        return _plain(with_formula(str(self.cell(value)))) == _plain(text)


def json_object(text: str) -> dict[str, Any]:
    """Raises ValueError for what is no JSON object under the limits of the API."""
    try:
        value = loads(text.encode())
    except APIException as error:
        raise ValueError(str(error.detail).replace("The body", "It", 1)) from None
    if not isinstance(value, dict):
        raise ValueError('Write a JSON object, such as {"gateway_url": "https://..."}.')
    return value


def is_same(stored: Any, given: Any) -> bool:
    """Whether two values are equal; of JSON, true and 1 are not."""
    if isinstance(stored, dict) and isinstance(given, dict):
        return json.dumps(stored, sort_keys=True) == json.dumps(given, sort_keys=True)
    if isinstance(stored, str) and isinstance(given, str):
        return _plain(stored) == _plain(given)
    if isinstance(stored, float) and isinstance(given, float):
        return math.isclose(stored, given, rel_tol=XLSX_PRECISION)
    return bool(stored == given)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
