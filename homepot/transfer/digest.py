"""What a table holds, as one number: equal for equal rows, on either engine and in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from homepot.transfer.canonical import CANONICAL
from homepot.transfer.lines import NULL, read_lines, unescaped
from homepot.transfer.snapshots import snapshot
from homepot.transfer.tables import Table, migrations_table, tables

DIGEST_BYTES = 16


@dataclass(frozen=True)
class TableDigest:
    """How many rows, and the sum of their digests as hexadecimal digits."""

    rows: int
    digest: str


class Digester:
    """Adds up the rows of a table, given as the lines of `read_lines`, with constant memory.

    A sum, because rows come in any order, and not XOR, in which a row that is there twice
    would vanish.
    """

    def __init__(self, table: Table) -> None:
        self._rewritten = [
            CANONICAL[column.kind] for column in table.columns if column.kind in CANONICAL
        ]
        self._rows = 0
        self._sum = 0

    def add(self, lines: Sequence[bytes]) -> None:
        total = 0
        for line in self._canonical(lines) if self._rewritten else lines:
            total += int.from_bytes(blake2b(line, digest_size=DIGEST_BYTES).digest())
        self._rows += len(lines)
        self._sum = (self._sum + total) % 2 ** (8 * DIGEST_BYTES)

    def result(self) -> TableDigest:
        return TableDigest(self._rows, f"{self._sum:0{2 * DIGEST_BYTES}x}")

    def _canonical(self, lines: Iterable[bytes]) -> Iterable[bytes]:
        rewritten = self._rewritten
        count = len(rewritten)
        first = -count
        for line in lines:
            fields = line.rsplit(b"\t", count)
            for index, rewrite in enumerate(rewritten, first):
                field = fields[index]
                if field != NULL:
                    fields[index] = rewrite(unescaped(field))
            yield b"\t".join(fields)


def table_digests(
    connection: Any,
    only: Iterable[Table] | None = None,
    *,
    on_rows: Callable[[int, Table], None] | None = None,
) -> dict[str, TableDigest]:
    """The digest of each table by its name, all of one moment.

    Of every table of the installation, and of which migrations are applied, unless `only`
    names some. `on_rows` is called with the rows of each batch and their table, to show progress.
    """
    digests = {}
    with snapshot(connection):
        for table in [*tables(), migrations_table()] if only is None else only:
            digester = Digester(table)
            for lines in read_lines(connection, table):
                digester.add(lines)
                if on_rows:
                    on_rows(len(lines), table)
            digests[table.name] = digester.result()
    return digests
