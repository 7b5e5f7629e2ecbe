"""Reports are read in one go, or field by field: it makes no difference but for the time."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
from rest_framework.exceptions import APIException

from devices import reports
from devices.reports import Report, read_device_id, read_report, report_in, reports_in
from homepot.parsers import loads

TEXTS = [b'""', b'"ok"', b'"\\u00e9\xc3\xa9\\ud83d\\ude00"', b'"\\"\\\\n"']
ODD_TEXTS = [
    *(b'"\\u0000"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"a\0"'),
    *(b'"a\n"', b'"\\x"', b'"open', b"'ok'"),
]
NUMBERS = [b"0", b"42", b"100", b"599", b"2147483647"]
ODD_NUMBERS = [
    *(
        b"-1",
        b"-0",
        b"99",
        b"600",
        b"2147483648",
        b"9223372036854775808",
        b"1" * 30,
        b"-" + b"1" * 30,
    ),
    *(b"42.0", b"42.5", b"0.5", b"-0.0", b"4e1", b"1e16", b"1e18", b"1e400", b"1e-400", b"NaN"),
    *(b"-Infinity", b"01", b"1.", b".5", b"+1", b"0x1"),
]
TIMES = [b'"2026-01-31T08:00:00Z"', b'"2026-01-31T08:00:00.123456+02:30"', b'"2026-01-31 08:00Z"']
ODD_TIMES = [
    *(b'"2026-01-31T08:00:00.1234565Z"', b'"2026-01-31T08:00:00.999999999+00:00"'),
    *(b'"2026-01-31T08:00:00z"', b'"2026-01-31t08:00:00Z"', b'"2026-01-31T08:00:00"'),
    *(b'"2026-01-31T24:00:00Z"', b'"2026-01-31T23:59:60Z"', b'"2026-02-30T00:00:00Z"'),
    *(
        b'"2200-01-01T00:00:00+02:00"',
        b'"1999-12-31T23:59:59-01:00"',
        b'"0001-01-01T00:00:00+14:00"',
    ),
    *(b'"20260131T080000Z"', b'"2026-W05-6T08:00:00Z"', b'"2026-01-31"', b'"2026-1-1T8:00:00Z"'),
    b'"now"',
]
DATA = [
    *(b'{"cpu_usage": 12.5, "\xc3\xa9": [1, null, {"a": "b"}]}', b"[]", b"{}", b'"text"', b"true"),
    *(b'{"a": 1, "a": 2}', b"[" * 29 + b"]" * 29, b"[" * 30 + b"]" * 30),
    *(b"[" * 31 + b"]" * 31, b"[" * 32 + b"]" * 32, b"[" * 2000 + b"]" * 2000, b'{"\\u0000": 1}'),
]
OTHERS = [b"null", b"true", b"false", b"[]", b"{}", b'"yes"', b'"off"', b"1", b"0"]
VALUES = [*TEXTS, *ODD_TEXTS, *NUMBERS, *ODD_NUMBERS, *TIMES, *ODD_TIMES, *DATA, *OTHERS]
LENGTHS = [49, 50, 51, 99, 100, 101, 200, 201, 10_000, 10_001]
VALUES += [b'"%s"' % (b"x" * length) for length in LENGTHS]
VALUES += [b'"%s"' % ("\N{GRINNING FACE}" * length).encode() for length in (50, 51)]
NAMES = [*(name.encode() for name in Report.__struct_fields__), b"device_id", b"unknown"]

BODIES = [
    *(b"", b" ", b"null", b"[]", b"{}", b" {} ", b"{", b"{}}", b"\xef\xbb\xbf{}", b'{"a": 1,}'),
    b'{"is_healthy": false, "is_healthy": true, "status_code": 7, "status_code": 200}',
    *(b'{"%s": %s}' % (name, value) for name in NAMES for value in VALUES),
]
BATCHES = [
    *(BODIES[:10]),
    *(b'{"check_ins": %s}' % each for each in (b"null", b"{}", b"[]", b'"x"', b"[null]", b"[[]]")),
    *(b'{"check_ins": [%s]}' % b",".join([b"{}"] * count) for count in (1, 1000, 1001)),
    b'{"check_ins": [{}], "more": 1}',
]


def read_slowly(body: bytes) -> Report:
    return read_report(loads(body))


def read_slowly_as_batch(body: bytes) -> Any:
    return reports._read_batch(loads(body))


def outcome(read: Any, body: bytes) -> Any:
    """What was read, as it is stored, or what is said to it."""
    try:
        found = read(body)
    except APIException as error:
        return type(error), str(error.detail).partition(": line ")[0]
    if isinstance(found, Report):
        return stored(found)
    taken, rejected = found
    return {index: (device, stored(each)) for index, (device, each) in taken.items()}, rejected


def stored(report: Report) -> Any:
    # With their types: 1 is no 1.0 in JSON.
    values = {name: getattr(report, name) for name in Report.__struct_fields__}
    return {name: repr(value) for name, value in values.items() if value not in (None, "")}


def test_bodies_are_read_alike():
    for body in BODIES:
        assert outcome(report_in, body) == outcome(read_slowly, body), body
    # One that must be read field by field has the whole batch read so.
    batches = [*BATCHES, *(b'{"check_ins": [{}, %s]}' % body for body in BODIES[2:])]
    for body in batches:
        assert outcome(reports_in, body) == outcome(read_slowly_as_batch, body), body


def test_any_mixture_is_read_alike():
    chance = random.Random(7)
    usual = [b"null", *TEXTS, *NUMBERS, *TIMES, *DATA[:4], b"true", b"false"]

    def entry() -> bytes:
        values = chance.choice([usual, usual, VALUES])
        pairs = (
            b'"%s": %s' % (chance.choice(NAMES), chance.choice(values))
            for _ in range(chance.randrange(6))
        )
        return b"{%s}" % b", ".join(pairs)

    for _ in range(3000):
        body = entry()
        assert outcome(report_in, body) == outcome(read_slowly, body), body
        batch = b'{"check_ins": [%s]}' % b",".join(entry() for _ in range(chance.randrange(4)))
        assert outcome(reports_in, batch) == outcome(read_slowly_as_batch, batch), batch


USUAL: dict[str, Any] = {
    "is_healthy": False,
    "response_time_ms": 42,
    "status_code": 503,
    "endpoint": "/health",
    "response_data": {"cpu_usage": 12.5, "é": [1, None]},
    "error_message": None,
    "firmware_version": "2.1.0",
    "config_version": "",
    "reported_at": "2026-01-31T08:00:00.123456+01:00",
}


def test_usual_reports_are_read_in_one_go(monkeypatch):
    assert set(USUAL) == set(Report.__struct_fields__)
    expected = stored(read_report(USUAL))
    monkeypatch.setattr(reports, "loads", None)
    assert stored(report_in(json.dumps(USUAL).encode())) == expected
    batch = {"check_ins": [USUAL | {"device_id": "till-1"}, USUAL]}
    taken, rejected = reports_in(msgspec.json.encode(batch))
    assert [(device, stored(each)) for device, each in taken.values()] == [
        ("till-1", expected),
        ("", expected),
    ]
    assert rejected == {}


def test_device_ids_are_not_clipped_to_those_of_others():
    assert read_device_id({"device_id": "x" * 101}) != "x" * 100
