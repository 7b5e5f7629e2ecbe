from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from homepot.spreadsheets import reading, writing
from homepot.spreadsheets.reading import UnreadableFileError, read_lines
from homepot.spreadsheets.writing import DoesNotFitError, cell_of, csv_pages, xlsx_file
from homepot.text import FORMULA, with_formula, without_formula

# What a file can hold at all, with what means something to spreadsheets more often.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20),
    st.text("'=+-@\t\r\n＝_x0D,;\"\x0b\x1f ", max_size=8),
)


def as_csv(rows: list[list[Any]]) -> io.BytesIO:
    return io.BytesIO(b"".join(csv_pages(rows[0], [rows[1:]])))


def as_xlsx(rows: list[list[Any]]) -> Any:
    return xlsx_file("List", rows[0], [rows[1:]])


def lines_of(content: bytes) -> list[tuple[int, list[str]]]:
    return list(read_lines(io.BytesIO(content)))


@given(TEXTS)
def test_formulas_are_text_in_files_and_come_back(text):
    cell = without_formula(text)
    assert cell == text or cell.startswith("'")
    assert not FORMULA.match(cell) or cell.startswith("'")
    assert with_formula(cell) == text


@settings(max_examples=30, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3))
@pytest.mark.parametrize("write", [as_csv, as_xlsx])
def test_text_is_read_as_it_was_written(write, texts):
    with write([["a"] * 3, [cell_of(text) for text in texts]]) as file:
        found = list(read_lines(file))[1:]

    def plain(cells: list[str]) -> list[str]:
        # How lines end, and the spaces around a text, are the spreadsheet's own.
        return [cell.replace("\r\n", "\n").strip(" ") for cell in cells]

    expected = plain(texts)
    read = [plain([*cells, "", ""])[: len(texts)] for _, cells in found]
    assert read == ([expected] if any(expected) else [])


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a,b\r\n1,2\r\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
        ("\ufeffa;b\nä;'=1\n".encode(), [(1, ["a", "b"]), (2, ["ä", "=1"])]),
        ("a\tb\nü\t2".encode("utf-16"), [(1, ["a", "b"]), (2, ["ü", "2"])]),
        (b'a\n\n,\n"x\ny"\nz', [(1, ["a"]), (4, ["x\ny"]), (6, ["z"])]),
        (b"", []),
    ],
)
def test_csv_is_read_as_spreadsheets_write_it(content, lines):
    assert lines_of(content) == lines


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a\nb\nBäcker".encode("latin-1"), "Line 3 holds bytes that are not UTF-8"),
        (b"a\nb\0", "NUL"),
        (b'a\nb\n"c', "Line 3 cannot be read: a quote"),
        (b"\xd0\xcf\x11\xe0 and so on", "old Excel"),
        (b"PK\x03\x04 and so on", "damaged"),
    ],
)
def test_what_cannot_be_read_is_told(content, told):
    with pytest.raises(UnreadableFileError, match=told):
        lines_of(content)


def test_xlsx_values_are_read_as_they_are_shown():
    book = Workbook()
    book.active.append(["text", "whole", "part", "yes", "none"])
    book.active.append(["007", 12.0, 52.52, True, None])
    book.active["A4"] = "after a blank line"
    file = io.BytesIO()
    book.save(file)

    assert lines_of(file.getvalue())[1:] == [
        (2, ["007", "12", "52.52", "true"]),
        (4, ["after a blank line"]),
    ]


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_damaged_xlsx_is_told(part):
    with as_xlsx([["a"], ["b"]]) as file:
        content = bytearray(file.read())
    middle = int(len(content) * part)
    content[middle : middle + 40] = b"\xff" * 40
    with pytest.raises(UnreadableFileError, match="damaged"):
        lines_of(bytes(content))


def test_xlsx_that_unpacks_to_too_much_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", bytes(reading.MAX_UNPACKED_BYTES + 1))
    with pytest.raises(UnreadableFileError, match="too large when unpacked"):
        lines_of(file.getvalue())


def test_xml_bomb_is_refused():
    with as_xlsx([["a"], ["b"]]) as file, zipfile.ZipFile(file) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    sheet = parts["xl/worksheets/sheet1.xml"].decode().replace(">b<", ">&b;<")
    parts["xl/worksheets/sheet1.xml"] = (bomb + sheet).encode()
    bombed = io.BytesIO()
    with zipfile.ZipFile(bombed, "w") as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    with pytest.raises(UnreadableFileError, match="damaged"):
        lines_of(bombed.getvalue())


def test_file_of_too_many_lines_is_refused(monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINES", 2)
    assert len(lines_of(b"a\n1\n\n2\n")) == 3
    with pytest.raises(UnreadableFileError, match="more than 2 lines"):
        lines_of(b"a\n1\n2\n3\n")


def test_xlsx_says_what_does_not_fit():
    with pytest.raises(DoesNotFitError, match=r"till-1 has a value of 32,768 characters.*CSV"):
        as_xlsx([["a", "b"], ["till-1", "x" * (writing.MAX_CELL + 1)]])


def test_xlsx_holds_text_and_numbers_and_never_formulas():
    with as_xlsx([["a", "b", "c"], ["'=1+1", 52.5, "#N/A"]]) as file:
        cells = load_workbook(file).active[2]
    assert [(cell.value, cell.data_type) for cell in cells][:2] == [("'=1+1", "s"), (52.5, "n")]
    assert cells[2].value == "#N/A"
