"""Every row of one database into another, in an order in which references hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from django.db import Error, transaction

from homepot.transfer import notes
from homepot.transfer.digest import Digester, TableDigest
from homepot.transfer.errors import TransferError
from homepot.transfer.lines import read_lines
from homepot.transfer.notes import Progress
from homepot.transfer.progress import ProgressBar
from homepot.transfer.sequences import highest_given, set_highest_given
from homepot.transfer.tables import Table
from homepot.transfer.writing import writing

# What is lost at most when the copy is killed, and what the target holds back at most until
# the references of so many rows are checked.
ROWS_PER_TRANSACTION = 20_000
BEFORE_THE_FIRST = -(2**63)


def copy_tables(
    source: Any, target: Any, tables: list[Table], bar: ProgressBar
) -> dict[str, TableDigest]:
    """Copy what is not there yet by the target's notes; returns the digests of the source.

    `source` is in a snapshot. Rows that were copied before are read once more for the digests,
    so these are of what the source holds now, whatever became of it meanwhile.
    """
    digests = {}
    for table in tables:
        digester = Digester(table)
        try:
            _copy_table(source, target, table, digester, bar)
        except Error as error:
            raise TransferError(f"Copying {table} failed: {str(error).strip()}") from error
        digests[table.name] = digester.result()
    for table in tables:
        if table.has_sequence:
            set_highest_given(target, table, highest_given(source, table))
    return digests


def _copy_table(
    source: Any, target: Any, table: Table, digester: Digester, bar: ProgressBar
) -> None:
    progress = notes.read_progress(target, table)
    if progress.is_done or progress.last_key is not None:
        for lines in read_lines(source, table, through=progress.last_key):
            digester.add(lines)
            bar.add(len(lines), table)
    if progress.is_done:
        return
    # In the order of the key, so that the last one says how far it came. Where that cannot be
    # said, or a row may refer to a later one, the table is copied in one go.
    is_divisible = table.has_integer_key and not table.refers_to_itself
    after = BEFORE_THE_FIRST if progress.last_key is None else progress.last_key
    with closing(read_lines(source, table, after=after if is_divisible else None)) as batches:
        _copy_batches(target, table, batches, digester, bar, is_divisible=is_divisible)


def _copy_batches(
    target: Any,
    table: Table,
    batches: Iterator[list[bytes]],
    digester: Digester,
    bar: ProgressBar,
    *,
    is_divisible: bool,
) -> None:
    progress = Progress()
    while not progress.is_done:
        with transaction.atomic(using=target.alias):
            rows = 0
            with writing(target, table) as write:
                for lines in batches:
                    write(lines)
                    digester.add(lines)
                    bar.add(len(lines), table)
                    rows += len(lines)
                    if is_divisible and rows >= ROWS_PER_TRANSACTION:
                        progress = Progress(last_key=table.integer_key_of(lines[-1]))
                        break
                else:
                    progress = Progress(is_done=True)
            notes.note_progress(target, table, progress)
