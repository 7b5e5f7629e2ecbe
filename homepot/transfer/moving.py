"""A copy from its checks to its proof."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, TextIO

from django.core.management import call_command
from django.db import transaction

from homepot.transfer import notes, targets
from homepot.transfer.copying import copy_tables
from homepot.transfer.digest import table_digests
from homepot.transfer.indexes import POSTPONED_FROM_ROWS, make_postponed, making, postpone
from homepot.transfer.plans import Plan, check_readable, row_counts
from homepot.transfer.progress import ProgressBar
from homepot.transfer.proof import TableProof, compare, faults_of
from homepot.transfer.tables import tables
from homepot.transfer.triggers import triggers_of
from homepot.transfer.values import Problem, find_problems
from homepot.transfer.writing import prepare_for_writing


@dataclass(frozen=True)
class Outcome:
    """What came of a copy, or of a look at one. `faults` are what is wrong besides rows."""

    proofs: list[TableProof]
    faults: list[str]
    seconds: dict[str, float]

    @property
    def is_equal(self) -> bool:
        return not self.faults and all(proof.is_equal for proof in self.proofs)


def find_all_problems(
    source: Any, target_vendor: str, plan: Plan, output: TextIO
) -> tuple[list[Problem], float]:
    """What of the source the target cannot hold, and how many seconds it took to look."""
    bar = ProgressBar("Checking", plan.rows, output)
    problems: list[Problem] = []
    for table in plan.tables:
        problems += find_problems(source, target_vendor, table)
        bar.add(plan.row_counts[table.name], table)
    bar.finish()
    return problems, bar.seconds


def carry_out(plan: Plan, source: Any, target: Any, output: TextIO) -> Outcome:
    """Copy the snapshot in which `source` is, and compare what the target then holds with it."""
    prepare_for_writing(target)
    if not plan.is_resumed:
        _make_ready(plan, target)
    triggers = triggers_of(target)
    copying = ProgressBar("Copying", plan.rows, output)
    digests = copy_tables(source, target, plan.tables, copying)
    copying.finish()
    postponed = notes.read_postponed(target)
    indexing = ProgressBar("Indexing", len(postponed), output, "indexes")
    with making(target, postponed, indexing):
        proving = ProgressBar("Proving", plan.rows, output)
        proofs = compare(digests, table_digests(target, plan.tables, on_rows=proving.add))
    faults = faults_of(source, target, plan.tables)
    if triggers_of(target) != triggers:
        faults.append("the triggers of the target are not those it had before")
    proving.finish()
    bars = (copying, indexing, proving)
    outcome = Outcome(proofs, faults, {bar.name.lower(): bar.seconds for bar in bars})
    if outcome.is_equal:
        targets.settle(target, plan.tables)
        notes.end(target)
    return outcome


def _make_ready(plan: Plan, target: Any) -> None:
    """Migrate and empty the target, and note that from here on it is an unfinished copy."""
    names = set(target.introspection.table_names())
    with transaction.atomic(using=target.alias):
        if present := [table for table in plan.tables if table.name in names]:
            targets.empty(target, present)
        if plan.is_unfinished:
            # What it had dropped would be forgotten.
            dropped = notes.read_postponed(target)
            deque(make_postponed(target, dropped), maxlen=0)
            notes.begin(target, plan.beginning, dropped)
    if plan.must_migrate:
        call_command(
            "migrate", database=target.alias, interactive=False, no_backup=True, verbosity=0
        )
    large = [t for t in plan.tables if plan.row_counts[t.name] >= POSTPONED_FROM_ROWS]
    with transaction.atomic(using=target.alias):
        targets.empty(target, plan.tables)
        notes.begin(target, plan.beginning, postpone(target, large))


def verify(source: Any, target: Any, output: TextIO) -> Outcome:
    """Compare what the two databases hold now."""
    ours = tables()
    for connection in (source, target):
        check_readable(connection, ours)
    bars, digests = [], []
    for name, connection in (("Reading the source", source), ("Reading the target", target)):
        bar = ProgressBar(name, sum(row_counts(connection, ours).values()), output)
        digests.append(table_digests(connection, ours, on_rows=bar.add))
        bar.finish()
        bars.append(bar)
    return Outcome(
        compare(*digests), faults_of(source, target, ours), {bar.name: bar.seconds for bar in bars}
    )
