"""What slow tests measure; `pytest -s` shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import connection


def show(figure: str) -> None:
    print(f"\n{connection.vendor}: {figure}", end="", flush=True)


def took(what: str, do: Callable[[], Any]) -> float:
    """The seconds that `do` took, which are shown."""
    started = time.perf_counter()
    do()
    seconds = time.perf_counter() - started
    show(f"{what}: {seconds:.2f} s")
    return seconds
