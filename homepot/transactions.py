"""Transactions that are tried again when the database broke them off to resolve a deadlock."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import psycopg
from django.db import OperationalError, connection, transaction

from homepot.database import SQLITE_BUSY_TIMEOUT_SECONDS

ATTEMPTS = 3
PAUSE_SECONDS = 0.05

P = ParamSpec("P")
T = TypeVar("T")


def retried(function: Callable[P, T]) -> Callable[P, T]:
    """Run `function` in a transaction, up to three times when two got into each other's way.

    Within another transaction it runs once: what came before would be lost with it.
    """
    return again_after_clash(transaction.atomic(function))


def again_after_clash(function: Callable[P, T]) -> Callable[P, T]:
    """What `retried` does, for a `function` that looks after its transaction itself."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        is_outermost = not connection.in_atomic_block
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return function(*args, **kwargs)
            except OperationalError as error:
                if attempt == ATTEMPTS or not is_outermost or not _is_clash(error):
                    raise
            time.sleep(PAUSE_SECONDS * attempt * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError("unreachable")

    return run


def in_one_statement(function: Callable[P, T]) -> Callable[P, T]:
    """Run `function`, which on PostgreSQL sends one statement, in a transaction where it needs one.

    Alone, that statement is one. Within a transaction only what `function` did is undone when
    it fails, and on SQLite it sends several.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if connection.vendor == "postgresql" and not connection.in_atomic_block:
            return function(*args, **kwargs)
        with transaction.atomic():
            return function(*args, **kwargs)

    return run


def write_unless_locked(write: Callable[[], object]) -> None:
    """Call `write`, in a transaction, unless another writer to SQLite would have to be waited for.

    For what is not worth a wait. On PostgreSQL, whose locks are of rows, `write` skips locked ones.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic():
            write()
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            with transaction.atomic():
                write()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                raise
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {1000 * SQLITE_BUSY_TIMEOUT_SECONDS}")


def lock_name(name: str) -> None:
    """Until the transaction ends, nobody else gets past here with the same `name`."""
    # On SQLite, write transactions take turns anyway.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _is_clash(error: Any) -> bool:
    clashes = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
    return isinstance(error.__cause__, clashes)
