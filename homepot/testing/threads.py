"""Running things at the same moment, for tests marked `django_db(transaction=True)`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

Result = TypeVar("Result")


def run_together(*functions: Callable[[], Result]) -> list[Result]:
    """Call `functions` at once, each in a thread with a connection of its own.

    Returns what they returned, in order; raises what the first of them raised.
    """
    start = threading.Barrier(len(functions))

    def call(function: Callable[[], Result]) -> Result:
        try:
            connection.ensure_connection()
            start.wait()
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(functions)) as executor:
        return [future.result() for future in [executor.submit(call, f) for f in functions]]
