"""Text that people and devices write."""

from __future__ import annotations

import re
import unicodedata

from django.core.exceptions import ValidationError

# Characters of free text, such as descriptions and error messages.
MAX_TEXT_LENGTH = 10_000
# What spreadsheets take for the beginning of a formula, some of them in full width too. What
# looks like such a text made harmless is treated as one, so that it can be told apart.
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")


# Characters that turn around the text after them, in whatever sentence it stands.
DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def validate_name(name: str) -> None:
    """Raise ValidationError for control characters; any script and emoji are welcome."""
    if DIRECTIONS.search(name) or any(
        unicodedata.category(character) == "Cc" for character in name
    ):
        raise ValidationError("A name cannot hold control characters.", code="control_character")


def without_formula(text: str) -> str:
    """`text` as a cell of a file that spreadsheets open: as text, whatever it begins with."""
    return f"'{text}" if FORMULA.match(text) else text


def with_formula(cell: str) -> str:
    """The text that `without_formula` made `cell` of."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
