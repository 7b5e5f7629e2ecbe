from __future__ import annotations

import pytest

from homepot.transfer.canonical import canonical_address, canonical_float, canonical_json
from homepot.transfer.lines import unescaped


@pytest.mark.parametrize(
    "spellings",
    [
        # As Python writes it, and as PostgreSQL does.
        ("1e+22", "1e22", "10000000000000000000000"),
        ("1e-07", "0.0000001"),
        ("1.5e1", "15"),
        ("[-0, -0.0]", "[0, 0.0]"),
        ("1.50", "1.5"),
        ("0.30000000000000004", "0.300000000000000040"),
        ("5e-324", "0." + "0" * 323 + "5"),
        ("1.7976931348623157e+308", "17976931348623157" + "0" * 292),
        ("12345678901234567.0", "12345678901234567.00"),
        ('"\\u00e9\\ud83d\\ude00 \\/"', '"\u00e9\U0001f600 /"'),
        ('{"b":1,"a":[{"d":2,"c":3}]}', '{"a": [{"c": 3, "d": 2}], "b": 1}'),
        ('{"b":1e0,"a":"\\u00e9"}', '{"a": "\u00e9", "b": 1}'),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
        # Like numbers, but in a string that ends elsewhere than it seems.
        ('{"5\\" 1e5": "12345678901234567890"}', '{"5\\u0022 1e5": "12345678901234567890"}'),
        ('["\\\\", 1e22, "1e5"]', '["\\u005c", 10000000000000000000000, "1e5"]'),
        ('{"a": "0123456789.0123456789.0", "b": -0}', '{"a": "0123456789.0123456789.0", "b": 0}'),
    ],
)
def test_spellings_of_one_json_value_become_one(spellings: tuple[str, ...]):
    assert len({canonical_json(spelling.encode()) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", '"1"'),
        ("null", "NaN"),
        ("9223372036854775807", "9223372036854775808"),
        ("18446744073709551616", "18446744073709551617"),
        ("0.1", "0.1000000000000000001"),
        ("1e400", "1e401"),
        ("-1e400", "1e400"),
        ("12345678901234567.0", "12345678901234568.0"),
        ('"\\ud83d"', '"\\ud83e"'),
        ('{"a": 1}', '{"a": 1, "b": null}'),
        ("[" * 2000, "[" * 2001),
        ("1e99999999999", "1e99999999998"),
        ("1e99999999999999999999", "1e99999999999999999998"),
    ],
)
def test_different_json_values_stay_different(one: str, other: str):
    assert canonical_json(one.encode()) != canonical_json(other.encode())


@pytest.mark.parametrize("text", ["", "a", "\t\n\r\b\f\v", "\\", "\\\\t\\", "\\t\t\\\\n", "\\N"])
def test_escaped_text_is_read_again(text: str):
    escaped = text.encode().replace(b"\\", rb"\\")
    for character in "tnrbfv":
        plain = f"\\{character}".encode().decode("unicode_escape").encode()
        escaped = escaped.replace(plain, f"\\{character}".encode())
    assert unescaped(escaped) == text.encode()


def test_floats_and_addresses_have_one_spelling():
    assert canonical_float(b"12") == canonical_float(b"12.0") == b"12.0"
    assert canonical_float(b"-0") == canonical_float(b"0.0")
    assert canonical_float(b"1e+15") == canonical_float(b"1000000000000000.0")
    assert canonical_float(b"0.30000000000000004") != canonical_float(b"0.3")
    assert canonical_address(b"::1.2.3.4") == canonical_address(b"::102:304")
    assert canonical_address(b"nonsense") == b"nonsense"
