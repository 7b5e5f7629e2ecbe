"""Files that people upload, as lines of text cells: CSV as spreadsheets write it, and XLSX."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import IO, Any

from openpyxl import load_workbook

from homepot.errors import DomainError
from homepot.text import with_formula
from homepot.uploads import MAX_UPLOAD_BYTES

MAX_LINES = 50_000
MAX_COLUMNS = 100
# XLSX is packed: a small file can hold more than there is memory for.
MAX_UNPACKED_BYTES = 100 * 2**20
MAX_STRINGS_BYTES = 30 * 2**20
ZIP_START, OLD_EXCEL_START = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
UTF_16_STARTS = (b"\xff\xfe", b"\xfe\xff")
SEPARATORS = ",;\t"
# How XLSX writes characters that XML cannot hold.
ESCAPED = re.compile("_x00([01][0-9A-Fa-f])_")
# As long as integers are exact in a float.
EXACT = 2**53

# Process-wide, and otherwise 128 KiB: configurations may be longer.
csv.field_size_limit(MAX_UPLOAD_BYTES)

# The number of a line, as editors and spreadsheets count, and its cells.
Line = tuple[int, list[str]]


class UnreadableFileError(DomainError):
    """The whole file cannot be taken; the message says why, and what would help."""

    status = 400
    code = "unreadable_file"


def read_lines(file: IO[bytes]) -> Iterator[Line]:
    """The lines of `file` that are not blank; raises UnreadableFileError, also midway."""
    start = file.read(len(ZIP_START))
    file.seek(0)
    if start == ZIP_START:
        lines = _xlsx_lines(file)
    elif start == OLD_EXCEL_START:
        raise UnreadableFileError("This is a file of an old Excel: save it as XLSX or CSV.")
    else:
        lines = _csv_lines(file.read())
    count = 0
    for number, cells in lines:
        if not any(cells):
            continue
        count += 1
        if count > MAX_LINES + 1:  # the first names the columns
            raise UnreadableFileError(
                f"The file has more than {MAX_LINES:,} lines: import it in parts."
            )
        yield number, cells


def _csv_lines(content: bytes) -> Iterator[Line]:
    encoding = "utf-16" if content.startswith(UTF_16_STARTS) else "utf-8-sig"
    _check_text(content, encoding)
    text = io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
    separator = max(SEPARATORS, key=text.readline().count)
    text.seek(0)
    # With strict, a quote at the wrong place is an error and not a part of the text.
    reader = csv.reader(text, delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UnreadableFileError(
                f"Line {number} cannot be read: a quote is missing or too many ({error})."
            ) from None
        yield number, [with_formula(cell.strip(" ")) for cell in cells]


def _check_text(content: bytes, encoding: str) -> None:
    try:
        nul = content.decode(encoding).find("\0")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFileError(
            f"Line {number} holds bytes that are not {encoding.upper().removesuffix('-SIG')}: "
            "save the file as CSV UTF-8, or as XLSX."
        ) from None
    if nul >= 0:
        raise UnreadableFileError("The file holds a NUL character: it is neither CSV nor XLSX.")


def _xlsx_lines(file: IO[bytes]) -> Iterator[Line]:
    try:
        _check_unpacked(file)
        book = load_workbook(file, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        # Some programs write wrong ones, and rows beyond them would be lost.
        sheet.reset_dimensions()
        for number, row in enumerate(
            sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True), start=1
        ):
            end = len(row)
            while end and row[end - 1] is None:
                end -= 1
            yield number, [_text_of(value) for value in row[:end]]
    except UnreadableFileError:
        raise
    except Exception as error:
        # openpyxl lets out whatever its parsers stumble over.
        raise UnreadableFileError(
            "The file is damaged, or no XLSX: open it in a spreadsheet and save it again."
        ) from error


def _check_unpacked(file: IO[bytes]) -> None:
    parts = zipfile.ZipFile(file).infolist()
    strings = sum(part.file_size for part in parts if "sharedStrings" in part.filename)
    if strings > MAX_STRINGS_BYTES or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
        raise UnreadableFileError("The file is too large when unpacked: import it in parts.")


def _text_of(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < EXACT:
            return str(int(value))
        case datetime() | date() | time():
            return value.isoformat()
    text = ESCAPED.sub(lambda found: chr(int(found[1], 16)), str(value))
    return with_formula(text.strip(" "))
