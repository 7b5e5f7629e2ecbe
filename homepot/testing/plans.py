"""How the database finds rows: tests that no statement reads a large table from end to end.

    with explained() as plans:
        do_something()
    plans.assert_none_reads_all_of("devices")
    assert plans.use("device_sweep")

Planners prefer to read small tables whole: there must be some thousand rows, and `analyze()`
after they were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import connection
from django.test.utils import CaptureQueriesContext

EXPLAINED = re.compile(r"\s*(SELECT|UPDATE|DELETE|WITH|INSERT)\b")
# What reads a table from end to end. SQLite says SCAN of an index too, which a list of the
# newest walks only as far as its page goes.
WHOLE = {
    "postgresql": re.compile(r"Seq Scan on (\w+)"),
    "sqlite": re.compile(r"^SCAN (\w+)(?! .*USING)", re.MULTILINE),
}
# SQLite's plans know a table by its alias only.
ALIAS = re.compile(r"\b(?:FROM|JOIN|UPDATE)\s+\"?(\w+)\"?\s+(?:AS\s+)?\"?(\w+)\"?", re.IGNORECASE)


@dataclass
class Plans:
    """The statements of a block, each with its plan."""

    plans: list[tuple[str, str]] = field(default_factory=list)

    def use(self, index: str) -> bool:
        """Whether some statement finds its rows by `index`."""
        return any(index in plan for _, plan in self.plans)

    def assert_none_reads_all_of(self, *tables: str) -> None:
        assert any(table in sql for sql, _ in self.plans for table in tables)
        for sql, plan in self.plans:
            named = {alias: table for table, alias in ALIAS.findall(sql)}
            names = set(WHOLE[connection.vendor].findall(plan))
            read = {named.get(name, name) for name in names} | names
            assert not read & set(tables), f"{sql[:2000]}\n{plan}"


@contextmanager
def explained() -> Iterator[Plans]:
    """Collect the plans of the statements that a block sends."""
    plans = Plans()
    with CaptureQueriesContext(connection) as captured:
        yield plans
    for query in captured.captured_queries:
        if EXPLAINED.match(query["sql"]):
            plans.plans.append((query["sql"], plan_of(query["sql"])))


def plan_of(sql: str) -> str:
    """How the database would run `sql`, a step a line."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}")
            return "\n".join(line for (line,) in cursor.fetchall())
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return "\n".join(row[-1] for row in cursor.fetchall())


def analyze() -> None:
    """Let the planner know how much there is."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
