"""What a database holds that another one cannot take in, found before anything is copied."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Flag, auto
from ipaddress import ip_address
from typing import Any

import orjson
from django.db.backends.base.operations import BaseDatabaseOperations

from homepot.transfer.lines import reading_bytes
from homepot.transfer.tables import Column, Kind, Reference, Table

SHOWN_AT_MOST = 20
# Of a problem's rows; the memory has to stay what it is.
NAMED_AT_MOST = 1000

SQLITE_INTEGERS = (-(2**63), 2**63 - 1)
# The most digits of a number in PostgreSQL's JSON, before and behind the point.
JSON_INTEGER_DIGITS, JSON_DECIMAL_DIGITS = 131_072, 16_383
ROWS_AT_ONCE = 100
# Digits and signs become 0: any exponent with more than four of them is found at once.
_MARKS = bytes(
    ord("0") if chr(c) in "-+0123456789" else ord("e") if chr(c) in "eE" else ord(" ")
    for c in range(256)
)
_EXPONENT_MARK = b"e00000"


class Oddity(Flag):
    """What few texts hold, and what is looked for row by row only where it is somewhere."""

    NUL = auto()
    UNDECODABLE = auto()
    ESCAPE = auto()
    EXPONENT = auto()


@dataclass
class Problem:
    """Rows of a table, by their keys, that cannot be copied as they are."""

    table: str
    column: str
    reason: str
    keys: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, key: object) -> None:
        self.count += 1
        if self.count <= NAMED_AT_MOST:
            self.keys.append(key.decode(errors="replace") if isinstance(key, bytes) else str(key))

    def __str__(self) -> str:
        rows = "1 row" if self.count == 1 else f"{self.count:,} rows"
        shown = ", ".join(self.keys[:SHOWN_AT_MOST]) + ", ..." * (self.count > SHOWN_AT_MOST)
        return f"{self.table}.{self.column}: {rows} {self.reason}: {shown}"


@dataclass(frozen=True)
class Rule:
    """Rows are wrong for which `condition` (SQL) is true, and `is_wrong`, if it is given, too."""

    column: str
    reason: str
    condition: str
    is_wrong: Callable[[bytes], bool] | None = None


def find_problems(source: Any, target_vendor: str, table: Table) -> Iterator[Problem]:
    """What of `table` cannot be copied into a database of `target_vendor`."""
    crosses = source.vendor != target_vendor
    rules: list[Rule] = []
    if source.vendor == "postgresql" and crosses:
        for column in table.columns:
            rules += _rules_of_postgresql(column, source.ops.quote_name(column.name))
    with source.wrap_database_errors:
        if source.vendor == "sqlite":
            rules = _rules_of_sqlite(source, table, is_for_postgresql=crosses)
        if rules:
            yield from _breaches(source, table, rules)
        for reference in table.references:
            # One at a time: so PostgreSQL compares the tables as wholes.
            yield from _breaches(source, table, [_rule_of_reference(source, table, reference)])


def _rule_of_reference(source: Any, table: Table, reference: Reference) -> Rule:
    quote = source.ops.quote_name
    name = f"{quote(table.name)}.{quote(reference.column)}"
    found = (
        f"SELECT 1 FROM {quote(reference.to_table)} AS referred "  # noqa: S608
        f"WHERE referred.{quote(reference.to_column)} = {name}"
    )
    return Rule(
        reference.column,
        f"refer to rows of {reference.to_table} that are not there",
        f"{name} IS NOT NULL AND NOT EXISTS ({found})",
    )


def _breaches(source: Any, table: Table, rules: list[Rule]) -> Iterator[Problem]:
    """The problems of `table`, in one pass over it."""
    quote = source.ops.quote_name
    expressions = [quote(table.key)]
    for rule in rules:
        shown = quote(rule.column) if rule.is_wrong else "1"
        expressions.append(f"CASE WHEN {rule.condition} THEN {shown} END")
    conditions = " OR ".join(f"({rule.condition})" for rule in rules)
    sql = (
        f"SELECT {', '.join(expressions)} FROM {quote(table.name)} "  # noqa: S608
        f"WHERE {conditions} ORDER BY {quote(table.key)}"
    )
    problems = [Problem(table.name, rule.column, rule.reason) for rule in rules]
    for key, *values in _rows(source, sql):
        for rule, problem, value in zip(rules, problems, values, strict=True):
            if value is not None and (rule.is_wrong is None or rule.is_wrong(value)):
                problem.add(key)
    yield from (problem for problem in problems if problem.count)


def _rows(source: Any, sql: str) -> Iterator[tuple[Any, ...]]:
    if source.vendor == "sqlite":
        with reading_bytes(source) as cursor:
            yield from cursor.execute(sql)
    else:
        with source.connection.cursor("problems") as cursor:
            yield from cursor.execute(sql)


# From SQLite, which takes whatever it is given


def _rules_of_sqlite(source: Any, table: Table, *, is_for_postgresql: bool) -> list[Rule]:
    """What is worth to be looked for in `table`.

    The conditions let through what is fine without a look by Python, as nearly all is.
    """
    quote = source.ops.quote_name
    rules: list[Rule] = []
    # What is stricter than a text is looked at one by one anyhow.
    strict = {Kind.INTEGER, Kind.FLOAT}
    if is_for_postgresql:
        strict |= {Kind.BOOLEAN, Kind.TIME, Kind.UUID, Kind.ADDRESS}
    texts = [column for column in table.columns if column.kind not in strict]
    oddities = _oddities_of_texts(source, table, texts)
    for column in table.columns:
        name = quote(column.name)
        if is_for_postgresql:
            rules += _refused_by_postgresql(column, name, oddities)
        if Oddity.UNDECODABLE in oddities and column in texts:
            rules.append(Rule(column.name, "hold bytes that are not UTF-8", "1", _is_not_utf8))
    return rules


def _oddities_of_texts(source: Any, table: Table, columns: Sequence[Column]) -> Oddity:
    """What is found in any text in these columns of `table`."""
    quote = source.ops.quote_name
    names = [f"coalesce({quote(column.name)}, '')" for column in columns]
    oddities = Oddity(0)
    if not names:
        return oddities
    # As one, and many rows at once, they are read several times as fast.
    sql = f"SELECT {' || '.join(names)} FROM {quote(table.name)}"  # noqa: S608
    with reading_bytes(source) as cursor:
        cursor.execute(sql)
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            texts = b"\n".join(text for (text,) in rows)
            if b"\0" in texts:
                oddities |= Oddity.NUL
            if b"\\u" in texts:
                oddities |= Oddity.ESCAPE
            if _EXPONENT_MARK in texts.translate(_MARKS):
                oddities |= Oddity.EXPONENT
            try:
                texts.decode()
            except UnicodeDecodeError:
                oddities |= Oddity.UNDECODABLE
    return oddities


def _is_not_utf8(value: Any) -> bool:
    try:
        bytes(value).decode()
    except (TypeError, UnicodeDecodeError):
        return isinstance(value, bytes)
    return False


def _refused_by_postgresql(column: Column, name: str, oddities: Oddity) -> Iterator[Rule]:
    def rule(reason: str, condition: str, is_wrong: Callable[[Any], bool] | None = None) -> Rule:
        return Rule(column.name, reason, condition, is_wrong)

    match column.kind:
        case Kind.INTEGER:
            yield rule("hold no whole number", f"typeof({name}) NOT IN ('integer', 'null')")
            lowest, highest = BaseDatabaseOperations.integer_field_ranges[column.internal_type]
            if (lowest, highest) != SQLITE_INTEGERS:
                # Numbers come before texts, and those before bytes.
                yield rule(
                    f"are not within {lowest} and {highest}",
                    f"{name} NOT BETWEEN {lowest} AND {highest} AND {name} < ''",
                )
        case Kind.BOOLEAN:
            yield rule("are neither true nor false", f"{name} NOT IN (0, 1)")
        case Kind.FLOAT:
            yield rule("hold no number", f"typeof({name}) NOT IN ('real', 'integer', 'null')")
        case Kind.UUID:
            yield rule("hold no UUID", f"length({name}) <> 32 OR {name} GLOB '*[^0-9a-f]*'")
        case Kind.ADDRESS:
            yield rule("hold no IP address", f"{name} IS NOT NULL", _is_no_address)
        case Kind.TIME:
            yield rule(
                "hold no time",
                # What is let through ends with a digit, so that it has no time zone.
                f"{name} IS NOT NULL AND (NOT ({name} GLOB '????-??-?? ??:??:??.??????' "
                f"OR {name} GLOB '????-??-?? ??:??:??') "
                f"OR substr({name}, -1) NOT BETWEEN '0' AND '9' OR substr({name}, 1, 4) < '0001' "
                f"OR substr({name}, 9, 2) > '28' OR substr({name}, 12, 2) > '23' "
                f"OR date({name}) IS NULL)",
                _is_no_time,
            )
        case Kind.TEXT:
            yield rule("hold bytes instead of text", f"{name} >= x''")
            if limit := column.field.max_length:
                yield rule(f"are longer than {limit} characters", f"length({name}) > {limit}")
            if oddities & (Oddity.NUL | Oddity.UNDECODABLE):
                yield rule("hold a NUL character", f"instr({name}, char(0))")
        case Kind.JSON:
            yield rule("hold no JSON", f"{name} IS NOT NULL AND NOT json_valid({name})")
            condition = f"length({name}) > {JSON_DECIMAL_DIGITS}"
            if Oddity.ESCAPE in oddities:
                condition += (
                    f" OR {name} GLOB '*\\u*' AND (instr({name}, '\\u0000') "
                    f"OR instr({name}, '\\ud') OR instr({name}, '\\uD'))"
                )
            if Oddity.EXPONENT in oddities:
                exponent = "[-+0-9]" + "[0-9]" * 4
                condition += f" OR {name} GLOB '*e{exponent}*' OR {name} GLOB '*E{exponent}*'"
            yield rule(
                "hold JSON that PostgreSQL has no place for (a NUL character, half of a surrogate "
                "pair, or a number beyond all bounds)",
                condition,
                is_unstorable_json,
            )


def _is_no_time(value: Any) -> bool:
    try:
        text = value.decode("ascii")
        return datetime.fromisoformat(text).tzinfo is not None or text[10:11] != " "
    except (AttributeError, ValueError):
        return True


def _is_no_address(value: Any) -> bool:
    try:
        ip_address(value.decode())
        return b"%" in value
    except (AttributeError, ValueError):
        return True


_has_nul = re.compile(r"(?<!\\)(?:\\\\)*\\u0000").search
_has_odd_number = re.compile(rb"[0-9][eE][-+0-9][0-9]{4}|[0-9]{1000}").search


def is_unstorable_json(value: Any) -> bool:
    """Whether these bytes are no JSON, or some that PostgreSQL has no place for."""
    try:
        if b"\\u0000" not in value and not _has_odd_number(value):
            # It refuses halves of pairs.
            orjson.loads(value)
            return False
        parsed = json.loads(value, parse_int=_storable_number, parse_float=_storable_number)
        written = json.dumps(parsed, ensure_ascii=False)
        written.encode()
    except (ValueError, ArithmeticError, RecursionError):
        return True
    return _has_nul(written) is not None


def _storable_number(token: str) -> None:
    _, digits, exponent = Decimal(token).as_tuple()
    if len(digits) + int(exponent) > JSON_INTEGER_DIGITS or -int(exponent) > JSON_DECIMAL_DIGITS:
        raise ValueError(f"{token[:20]}... is beyond all bounds.")


# From PostgreSQL, which knows what it stores


def _rules_of_postgresql(column: Column, name: str) -> Iterator[Rule]:
    """What SQLite, or Django reading from it, makes something else of."""
    match column.kind:
        case Kind.FLOAT:
            yield Rule(column.name, "hold NaN, which SQLite stores as null", f"{name} = 'NaN'")
        case Kind.TIME:
            yield Rule(
                column.name,
                "are not within the years 1 and 9999",
                f"{name} NOT BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00'",
            )
        case Kind.ADDRESS:
            yield Rule(
                column.name,
                "hold a network instead of an IP address",
                f"masklen({name}) <> CASE family({name}) WHEN 4 THEN 32 ELSE 128 END",
            )
