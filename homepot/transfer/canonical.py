"""One spelling for values that the engines, or Python, may write down in different ways."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any

import orjson

from homepot.transfer.tables import Kind

# Digits become 0, e and E one letter, everything else a blank: texts of the same shape become
# one, of which it is known whether any number in it may be odd.
_MARKS = bytes(
    ord("0") if chr(c) in "0123456789." else ord("e") if chr(c) in "eE" else ord(" ")
    for c in range(256)
)
# Numbers that orjson may take for others: with more digits than a float has, and with an
# exponent, which PostgreSQL writes out (1e22 is 10000000000000000000000).
_LONG_MARK, _EXPONENT_MARK = b"0" * 16, b"0e"
# Shapes of longer texts are not remembered, which bounds the memory.
_REMEMBERED_BYTES, _REMEMBERED_SHAPES = 512, 2048
_without_strings = partial(re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"').sub, b"")
_long_numbers = re.compile(rb"[0-9.]{16,}").findall
_has_zero_below_zero = re.compile(rb"(?<![0-9])-0(?![0-9.]*[1-9])").search
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**64 - 1
_LARGEST_INTEGER_DIGITS = len(str(_LARGEST_INTEGER))
# Key of an object that stands for a number which orjson cannot hold; no text has a NUL.
_NUMBER = "\0"


def canonical_json(text: bytes) -> bytes:
    """JSON with sorted keys, and one spelling for each string and number.

    Numbers keep every digit. 1 and 1.0 are two, as they are in Python.
    """
    try:
        value = orjson.loads(text)
        if _has_exact_numbers(text) and not (b"-" in text and _has_zero_below_zero(text)):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass  # half an emoji, too deep for orjson, or no JSON at all
    return _canonical_json_of_odd(text)


def _has_exact_numbers(text: bytes) -> bool:
    """Whether orjson reads each number of `text`, which is JSON, without loss."""
    marks = text.translate(_MARKS)
    is_plain = _is_plain if len(marks) > _REMEMBERED_BYTES else _is_plain_as_remembered
    if is_plain(marks):
        return True
    if _EXPONENT_MARK in marks or not all(map(_is_exact, _long_numbers(text))):
        # It may stand in a string, and be no number.
        text = _without_strings(text)
        return _EXPONENT_MARK not in text.translate(_MARKS) and all(
            map(_is_exact, _long_numbers(text))
        )
    return True


def _is_plain(marks: bytes) -> bool:
    return _EXPONENT_MARK not in marks and _LONG_MARK not in marks


_is_plain_as_remembered = lru_cache(_REMEMBERED_SHAPES)(_is_plain)


def _is_exact(token: bytes) -> bool:
    """Whether orjson reads these digits, of a number or not, without loss."""
    if b"." not in token:
        return len(token) < 19 or (len(token) == 19 and int(token) < 2**63)
    try:
        return repr(float(token)).encode() == token
    except ValueError:  # an address, perhaps
        return False


def _canonical_json_of_odd(text: bytes) -> bytes:
    try:
        value = json.loads(
            text, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
        )
    except (ValueError, ArithmeticError, RecursionError):
        return b"not JSON: " + text
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _number(token: str) -> Any:
    """`token` as an int or float that is exactly it, else as an object of its digits."""
    number = Decimal(token)
    sign, digits, scale = number.as_tuple()
    exponent = int(scale)
    if exponent < 0:
        nearest = float(token)
        if math.isfinite(nearest) and Decimal(repr(nearest)) == number:
            return nearest + 0.0
    elif exponent + len(digits) <= _LARGEST_INTEGER_DIGITS:
        integer = int(number)
        if _SMALLEST_INTEGER <= integer <= _LARGEST_INTEGER:
            return integer
    kind = "decimal" if exponent < 0 else "integer"
    written = "".join(map(str, digits)).lstrip("0")
    significant = written.rstrip("0")
    exponent += len(written) - len(significant)
    return {_NUMBER: f"{kind} {'-' * sign}{significant}e{exponent}"}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON.")


def canonical_float(text: bytes) -> bytes:
    """The shortest digits that give this float, as Python writes them; no zero below zero."""
    try:
        return repr(float(text) + 0.0).encode()
    except ValueError:
        return text


def canonical_address(text: bytes) -> bytes:
    try:
        return str(ip_address(text.decode())).encode()
    except ValueError:
        return text


# Of the kinds of column that are not written alike everywhere. They are a line's last fields.
CANONICAL: dict[Kind, Callable[[bytes], bytes]] = {
    Kind.FLOAT: canonical_float,
    Kind.ADDRESS: canonical_address,
    Kind.JSON: canonical_json,
}
