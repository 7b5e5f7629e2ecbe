"""Whether a copy is one: the same rows, and all that guards them in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homepot.transfer.digest import TableDigest
from homepot.transfer.sequences import highest_given
from homepot.transfer.tables import Table


@dataclass(frozen=True)
class TableProof:
    """What a table holds on both sides."""

    table: str
    source: TableDigest
    target: TableDigest

    @property
    def is_equal(self) -> bool:
        return self.source == self.target


def compare(source: dict[str, TableDigest], target: dict[str, TableDigest]) -> list[TableProof]:
    return [TableProof(name, source[name], target[name]) for name in source]


def as_text(proofs: Sequence[TableProof]) -> str:
    """For people: rows and the beginnings of the digests on both sides."""
    width = max(len(proof.table) for proof in proofs)
    lines = [f"{'table':{width}}{'rows':>13}{'in target':>13}  {'digest':16}  in target"]
    lines += [
        f"{proof.table:{width}}{proof.source.rows:13,}{proof.target.rows:13,}  "
        f"{proof.source.digest[:16]}  {proof.target.digest[:16]}"
        f"{'' if proof.is_equal else '  DIFFERENT'}"
        for proof in proofs
    ]
    return "\n".join(lines)


def faults_of(source: Any, target: Any, tables: list[Table]) -> list[str]:
    """In words, what of the target's ids, references, constraints and indexes is not in order."""
    faults = [
        f"{table}: the next id would be {there + 1}, and {here + 1} in the source"
        for table in tables
        if table.has_sequence
        for here, there in [(highest_given(source, table), highest_given(target, table))]
        if here != there
    ]
    with target.cursor() as cursor:
        if target.vendor == "sqlite":
            cursor.execute('SELECT DISTINCT "table", parent FROM pragma_foreign_key_check()')
            faults += [
                f"{table}: refers to rows of {parent} that are not there"
                for table, parent in cursor.fetchall()
            ]
        else:
            cursor.execute(
                "SELECT conrelid::regclass::text, conname FROM pg_constraint "
                "WHERE NOT convalidated AND connamespace = current_schema()::regnamespace"
            )
            faults += [f"{table}: {name} was never checked" for table, name in cursor.fetchall()]
            cursor.execute(
                "SELECT indrelid::regclass::text, indexrelid::regclass::text FROM pg_index "
                "JOIN pg_class ON pg_class.oid = indexrelid "
                "WHERE NOT indisvalid AND relnamespace = current_schema()::regnamespace"
            )
            faults += [
                f"{table}: the index {name} is not valid" for table, name in cursor.fetchall()
            ]
    return faults
