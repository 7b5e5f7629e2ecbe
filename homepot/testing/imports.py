"""Reading, confirming and applying files without a browser."""

from __future__ import annotations

import io
from typing import Any

from homepot.models import DataImport, ImportLine
from homepot.spreadsheets.imports import apply_steps, confirm_import, read_import
from homepot.spreadsheets.sheet import sheet_named


def read_text(sheet: str, text: str, user: Any) -> DataImport:
    """The import of a CSV file that says `text`, to be looked at."""
    file = io.BytesIO(text.encode())
    return read_import(sheet=sheet_named(sheet), file=file, filename="list.csv", user=user)


def apply(data_import: DataImport) -> DataImport:
    """Confirm it, and do all that it says."""
    confirm_import(data_import=data_import, context=None)
    for _ in apply_steps(data_import.pk):
        pass
    data_import.refresh_from_db()
    return data_import


def lines_of(data_import: DataImport) -> list[ImportLine]:
    return list(data_import.lines.order_by("number"))


def verdicts(data_import: DataImport) -> list[tuple[str, str]]:
    """What each line is going to do, and why it will not."""
    return [(line.verdict, line.message) for line in lines_of(data_import)]
