"""What is found before anything is copied: rows that the other engine has no place for."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from homepot.tests.transfer.rows import fill
from homepot.transfer.tables import Table, tables
from homepot.transfer.values import find_problems

pytestmark = pytest.mark.django_db


def table(name: str) -> Table:
    return next(table for table in tables() if table.name == name)


def problems(source: Any, target_vendor: str, name: str) -> dict[str, tuple[str, list[str]]]:
    found = find_problems(source, target_vendor, table(name))
    return {problem.column: (problem.reason, problem.keys) for problem in found}


def test_rows_of_every_kind_have_a_place_in_both_engines(other):
    fill(other.alias)
    fill("default")
    for each in tables():
        for target in ("sqlite", "postgresql"):
            assert list(find_problems(other, target, each)) == []
            assert list(find_problems(connection, target, each)) == []


OF_HEALTH_CHECKS = [
    ("error_message = 'a' || char(0)", "error_message", "hold a NUL character"),
    ("error_message = CAST(x'61ff' AS TEXT)", "error_message", "hold bytes that are not UTF-8"),
    ("error_message = x'61'", "error_message", "hold bytes instead of text"),
    (
        "endpoint = replace(hex(zeroblob(101)), '00', '\u4e2d\u4e2d')",
        "endpoint",
        "are longer than 200 characters",
    ),
    ("response_time_ms = 2147483648", "response_time_ms", "are not within 0 and 2147483647"),
    ("response_time_ms = 'soon'", "response_time_ms", "hold no whole number"),
    ("response_time_ms = 1.5", "response_time_ms", "hold no whole number"),
    ("is_healthy = 2", "is_healthy", "are neither true nor false"),
    ("device_id = 99", "device_id", "refer to rows of devices that are not there"),
    *(
        (f"checked_at = '{time}'", "checked_at", "hold no time")
        for time in (
            "yesterday",
            "2026-02-30 12:00:00",
            "2026-13-01 12:00:00",
            "2026-01-01 24:00:00",
            "2026-01-01 12:00:60",
            "0000-01-01 12:00:00",
            "2026-01-01T12:00:00",
            "2026-01-01 12:00:00+02:00",
            "2026-01-01 12:00:00.12345x",
            "2026-01-01 12:00:00.12345Z",
            "2026-01-01 12:00:00 +02:00",
            "2026-01-01    12:00",
            "2026-01-01 12:00:00.1+1:00",
            "12026-01-01 12:00:00",
            "2026-01-01",
            "",
        )
    ),
]
OF_JSON = [
    ("{", "no JSON"),
    ("", "no JSON"),
    ("NaN", "no JSON"),
    ('{"a": "\\u0000"}', "JSON that PostgreSQL has no place for"),
    ('"\\ud83d"', "JSON that PostgreSQL has no place for"),
    ('"\\uDE00 \\uD83D"', "JSON that PostgreSQL has no place for"),
    ("1e200000", "JSON that PostgreSQL has no place for"),
    ("[1e-20000]", "JSON that PostgreSQL has no place for"),
    ("0." + "0" * 17_000 + "1", "JSON that PostgreSQL has no place for"),
]
FINE_JSON = ['"\\\\u0000"', '"\\ud83d\\ude00"', "1e400", '"1e99999"', "[]", "9" * 20_000]


@pytest.mark.parametrize(("change", "column", "reason"), OF_HEALTH_CHECKS)
def test_row_for_which_postgresql_has_no_place_is_named(other, change, column, reason):
    fill(other.alias)
    with other.cursor() as cursor:
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(f"UPDATE health_checks SET {change.replace('%', '%%')} WHERE id = 3", [])
    assert problems(other, "postgresql", "health_checks") == {column: (reason, ["3"])}


def test_json_for_which_postgresql_has_no_place_is_named(other):
    fill(other.alias)
    for text, reason in [*OF_JSON, *((text, None) for text in FINE_JSON)]:
        with other.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            cursor.execute("UPDATE health_checks SET response_data = %s WHERE id = 3", [text])
        found = problems(other, "postgresql", "health_checks")
        if reason is None:
            assert found == {}, text[:50]
        else:
            assert found["response_data"][0].startswith(f"hold {reason}"), text[:50]


@pytest.mark.parametrize(
    ("name", "change", "column", "reason"),
    [
        ("sites", "latitude = 'north'", "latitude", "hold no number"),
        ("devices", "ip_address = '10.0.0.256'", "ip_address", "hold no IP address"),
        ("devices", "ip_address = 'fe80::1%eth0'", "ip_address", "hold no IP address"),
        ("job_executions", "execution_id = 'x'", "execution_id", "hold no UUID"),
        ("job_executions", "priority = 32768", "priority", "are not within 0 and 32767"),
    ],
)
def test_other_kinds_for_which_postgresql_has_no_place_are_named(
    other, name, change, column, reason
):
    fill(other.alias)
    with other.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(f"UPDATE {name} SET {change.replace('%', '%%')} WHERE id = 1", [])
    assert problems(other, "postgresql", name) == {column: (reason, ["1"])}


def test_sqlite_takes_what_it_held_except_bytes_that_are_no_text(other):
    fill(other.alias)
    with other.cursor() as cursor:
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute("UPDATE health_checks SET error_message = 'a' || char(0) WHERE id = 1")
        cursor.execute("UPDATE health_checks SET error_message = CAST(x'ff' AS TEXT) WHERE id = 2")
        cursor.execute("UPDATE health_checks SET device_id = 99 WHERE id IN (3, 4)")
    assert problems(other, "sqlite", "health_checks") == {
        "error_message": ("hold bytes that are not UTF-8", ["2"]),
        "device_id": ("refer to rows of devices that are not there", ["3", "4"]),
    }


@pytest.mark.parametrize(
    ("name", "change", "column", "reason"),
    [
        ("health_rollups", "cpu_max = 'NaN'", "cpu_max", "hold NaN, which SQLite stores as null"),
        ("sites", "created_at = 'infinity'", "created_at", "are not within the years 1 and 9999"),
        (
            "sites",
            "created_at = '0001-01-01 BC'",
            "created_at",
            "are not within the years 1 and 9999",
        ),
        (
            "devices",
            "ip_address = '10.0.0.0/8'",
            "ip_address",
            "hold a network instead of an IP address",
        ),
    ],
)
def test_row_for_which_sqlite_has_no_place_is_named(name, change, column, reason):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite itself holds no such rows")
    fill("default")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {name} SET {change} WHERE id = 1")
    assert problems(connection, "sqlite", name) == {column: (reason, ["1"])}


def test_many_rows_are_counted_and_some_named(other):
    fill(other.alias)
    with other.cursor() as cursor:
        cursor.execute("UPDATE health_checks SET error_message = x'61'")
    [problem] = find_problems(other, "postgresql", table("health_checks"))
    assert str(problem) == (
        "health_checks.error_message: 11 rows hold bytes instead of text: "
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    )
