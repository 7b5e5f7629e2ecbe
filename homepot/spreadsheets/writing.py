"""Rows as a file, of any length, in the memory of one page.

Each page is a short read of its own. Between two of them neither a transaction nor a cursor
is open, and the connection is free: a reader with a slow line holds up nobody.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import IO, Any

from django.db import connection, models
from django.db.models import F
from django.db.models.fields.tuple_lookups import Tuple, TupleLessThan
from django.utils import timezone
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

from homepot.errors import DomainError
from homepot.text import without_formula

PAGE_ROWS = 1_000
# A cell of XLSX holds no more characters than this, a sheet no more rows.
MAX_CELL = 32_767
MAX_ROWS = 1_048_576
COLUMN_WIDTH = 22
# What XML cannot hold, or changes, as XLSX writes it instead.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")

Cell = str | int | float
CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class DoesNotFitError(DomainError):
    """XLSX has no place for it; CSV has."""

    code = "does_not_fit"


def pages(
    rows: models.QuerySet, select: Callable[[models.QuerySet], models.QuerySet]
) -> Iterator[list[tuple[Any, ...]]]:
    """`rows`, newest first, as `select` makes tuples of them; created_at and pk come last."""
    rows = rows.order_by("-created_at", "-pk")
    rest = rows
    while True:
        page = list(select(rest)[:PAGE_ROWS])
        release_connection()
        if page:
            yield page
        if len(page) < PAGE_ROWS:
            return
        rest = rows.filter(TupleLessThan(Tuple(F("created_at"), F("pk")), page[-1][-2:]))


def release_connection() -> None:
    """Give the connection back to the pool; the next page takes one again."""
    if not connection.in_atomic_block:
        connection.close()


def cell_of(value: Any) -> Cell:
    """A value as a cell: numbers stay numbers, all else is text that is no formula."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return value
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case dict() | list():
            value = json.dumps(value, ensure_ascii=False)
    return without_formula(str(value))


def csv_pages(head: Sequence[str], found: Iterable[Iterable[Sequence[Cell]]]) -> Iterator[bytes]:
    yield _csv_lines([head])
    for page in found:
        yield _csv_lines(page)


def _csv_lines(rows: Iterable[Sequence[Cell]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def xlsx_file(
    title: str, head: Sequence[str], found: Iterable[Iterable[Sequence[Cell]]]
) -> IO[bytes]:
    """A temporary file, ready to be read; raises DoesNotFitError.

    The format cannot be sent before its end is known, so it waits on the disk.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for number in range(len(head)):
        sheet.column_dimensions[chr(ord("A") + number)].width = COLUMN_WIDTH
    try:
        sheet.append([_bold(sheet, name) for name in head])
        for count, row in enumerate(chain.from_iterable(found), start=2):
            if count > MAX_ROWS:
                raise DoesNotFitError("XLSX holds no more than a million rows; take CSV.")
            sheet.append([_xlsx_cell(cell, row) for cell in row])
    except BaseException:
        # openpyxl removes its temporary file only once it was saved.
        book.save(os.devnull)
        raise
    file = tempfile.TemporaryFile()  # noqa: SIM115, its reader closes it
    book.save(file)
    file.seek(0)
    return file


def _bold(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, text)
    cell.font = Font(bold=True)
    return cell


def _xlsx_cell(cell: Cell, row: Sequence[Cell]) -> Cell | None:
    """None, for an empty cell, costs nothing."""
    if not isinstance(cell, str) or not cell:
        return None if cell == "" else cell
    if len(cell) > MAX_CELL:
        raise DoesNotFitError(
            f"{row[0]} has a value of {len(cell):,} characters, which no cell of XLSX holds; "
            "take CSV."
        )
    return CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", cell)


def attachment(name: str, format: str) -> dict[str, str]:
    """Headers of an answer that browsers save as a file of now."""
    return {
        "Content-Disposition": (
            f'attachment; filename="{name}-{timezone.now():%Y%m%dT%H%M%SZ}.{format}"'
        ),
        "Cache-Control": "no-store",
    }
