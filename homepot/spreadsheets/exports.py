"""A list as a file, with what its sheet has of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db import models
from django.http import FileResponse, StreamingHttpResponse

from homepot.spreadsheets.sheet import Sheet
from homepot.spreadsheets.writing import (
    CSV_TYPE,
    XLSX_TYPE,
    Cell,
    attachment,
    csv_pages,
    pages,
    release_connection,
    xlsx_file,
)

# Without it, spreadsheets take UTF-8 for the encoding of the country they are in.
BYTE_ORDER_MARK = "\ufeff".encode()


class SheetFormat(models.TextChoices):
    CSV = "csv", "CSV"
    XLSX = "xlsx", "XLSX"


def export_response(
    sheet: Sheet, rows: Any, *, format: SheetFormat, user: Any, filters: Mapping[str, Any]
) -> StreamingHttpResponse:
    """`rows`, newest first, as an answer to be saved as a file.

    That `user` read them, by which `filters`, is in the audit log before the first byte. Raises
    DoesNotFitError.
    """
    head = [column.name for column in sheet.columns]
    found = _pages(sheet, rows)
    headers = attachment(sheet.name, format)
    if format is SheetFormat.XLSX:
        file = xlsx_file(sheet.name.capitalize(), head, found)
        try:
            sheet.record_export(format.label, filters, user)
        except BaseException:
            file.close()
            raise
        return FileResponse(file, content_type=XLSX_TYPE, headers=headers)
    sheet.record_export(format.label, filters, user)
    release_connection()
    return StreamingHttpResponse(_marked(head, found), content_type=CSV_TYPE, headers=headers)


def _marked(head: list[str], found: Iterable[Iterable[list[Cell]]]) -> Iterator[bytes]:
    yield BYTE_ORDER_MARK
    yield from csv_pages(head, found)


def _pages(sheet: Sheet, rows: Any) -> Iterator[list[list[Cell]]]:
    paths = [column.path for column in sheet.columns]
    for page in pages(rows, lambda rest: rest.values_list(*paths, "created_at", "pk")):
        yield [
            [column.cell(value) for column, value in zip(sheet.columns, row, strict=False)]
            for row in page
        ]
