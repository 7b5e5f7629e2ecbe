"""What workers do for imports: see `homepot/sweeps.py`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q

from homepot.enums import ImportState
from homepot.models import DataImport, ImportLine
from homepot.spreadsheets.imports import KEPT, apply_steps
from homepot.sweeps import run_steps

FORGOTTEN_AT_ONCE = 2_000


def apply_imports(now: datetime) -> int:
    """Go on with what was confirmed. Returns the number of lines."""
    return run_steps(_apply_all())


def _apply_all() -> Iterator[int]:
    confirmed = DataImport.objects.filter(state=ImportState.APPLYING).order_by("confirmed_at")
    for pk in list(confirmed.values_list("pk", flat=True)):
        yield from apply_steps(pk)


def forget_old_imports(now: datetime) -> int:
    """Drop files that were uploaded long ago, and what became of their lines."""
    return run_steps(_forget(now))


def _forget(now: datetime) -> Iterator[int]:
    old = DataImport.objects.filter(~Q(state=ImportState.APPLYING), created_at__lte=now - KEPT)
    for pk in list(old.values_list("pk", flat=True)):
        lines = ImportLine.objects.filter(data_import=pk).order_by("number")
        while step := list(lines.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]):
            yield ImportLine.objects.filter(pk__in=step).delete()[0]
        DataImport.objects.filter(pk=pk).delete()
