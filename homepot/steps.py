"""Many rows, a bounded number at a time: no lock is held for long, on either engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

STEP_ROWS = 500


@dataclass
class Tally:
    """What became of many rows: of how many there were, how many changed."""

    asked: int = 0
    done: int = 0
    # Those that were taken one by one and whose service said no.
    refused: int = 0
    # What was made for each and is shown this once: its id, and its key.
    keys: list[tuple[str, str]] = field(default_factory=list)


def in_steps(pks: Iterable[int], at_most: int | None = None) -> Iterator[list[int]]:
    """`pks` in their order, some at a time: the order in which rows are locked."""
    rest = iter(sorted(set(pks)))
    while step := list(islice(rest, at_most or STEP_ROWS)):
        yield step


def as_ranges(pks: Iterable[int]) -> str:
    """Whole numbers as short text, such as "1-3,7": what a page keeps of what was chosen."""
    ranges: list[list[int]] = []
    for pk in sorted(set(pks)):
        if ranges and ranges[-1][1] == pk - 1:
            ranges[-1][1] = pk
        else:
            ranges.append([pk, pk])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def from_ranges(text: str, at_most: int) -> list[int]:
    """The numbers that `as_ranges` wrote; raises ValueError, also when they are more."""
    pks: list[int] = []
    for part in text.split(","):
        low_text, _, high_text = part.partition("-")
        low, high = int(low_text), int(high_text or low_text)
        if not 0 <= low <= high < 2**63 or len(pks) + high - low >= at_most:
            raise ValueError("These are too many, or none that were offered.")
        pks.extend(range(low, high + 1))
    return pks
