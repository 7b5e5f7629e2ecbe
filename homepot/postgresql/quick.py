"""Statements by the shortest way, for the few that are sent all the time.

psycopg's cursors and Django's loaders take longer than PostgreSQL takes for a simple statement.
Here libpq sends it, psycopg's C code converts the values, and nothing stands in between. Values
come back as from Django's cursors: JSON and addresses as text, times in UTC.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import adapters
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, TransactionStatus
from psycopg.types.string import TextLoader

# Making a prepared statement takes as long as sending it ten times.
PREPARED_AFTER = 3
# Of each connection, in whose process of the server each takes memory; all others are sent as
# they are. None is ever dropped: PgBouncer does not follow that.
MAX_PREPARED = 50
# It is not prepared any more, or what it reads was altered meanwhile: nothing was done yet.
OUTDATED = (b"26000", b"0A000")

_adapters = AdaptersMap(adapters)
for _type in ("jsonb", "inet", "cidr"):
    _adapters.register_loader(_type, TextLoader)


class _Statement:
    """SQL as PostgreSQL wants it, and how often this process has sent it."""

    def __init__(self, sql: str, places: tuple[int, ...] | None) -> None:
        indexes = itertools.count() if places is None else iter(places)
        self.text = re.sub(
            r"%([s%])", lambda found: "%" if found[1] == "%" else f"${next(indexes) + 1}", sql
        ).encode()
        self.uses = 0


_statement = lru_cache(maxsize=1000)(_Statement)


class Quick:
    """The short way through one connection, which nobody else uses meanwhile.

    Where the connection is not in autocommit mode, the first statement begins a transaction.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self.adapters = _adapters
        self.connection = connection
        self._pgconn = connection.pgconn
        self._transformer = Transformer(self)  # asks for the two attributes above
        self._names: dict[bytes, bytes] = {}
        self._numbers = itertools.count()

    def fetch_rows(
        self, sql: str, parameters: Sequence[Any], places: tuple[int, ...] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows of `sql`, whose places for parameters are `%s`; raises psycopg's errors.

        A parameter that stands in several `places` is sent once.
        """
        statement = _statement(sql, places)
        values = self._transformer.dump_sequence(parameters, [PyFormat.TEXT] * len(parameters))
        if not self.connection.autocommit:
            self._begin()
        statement.uses += 1
        result = None
        if statement.uses > PREPARED_AFTER and self.connection.prepare_threshold is not None:
            result = self._execute_prepared(statement.text, values)
        if result is None:
            result = self._pgconn.exec_params(statement.text, values)
        if result.status == ExecStatus.COMMAND_OK:
            return []
        if result.status != ExecStatus.TUPLES_OK:
            self._raise(result)
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def forget_prepared(self) -> None:
        """Prepare all statements again: the server has none of them any more.

        psycopg tells it to forget them when a transaction, or a part of one, is rolled back.
        """
        self._names.clear()

    def _begin(self) -> None:
        if self._pgconn.transaction_status == TransactionStatus.IDLE:
            result = self._pgconn.exec_(b"BEGIN")
            if result.status != ExecStatus.COMMAND_OK:
                self._raise(result)

    def _execute_prepared(self, text: bytes, values: Sequence[Any]) -> Any:
        """None: too many are prepared already."""
        if name := self._names.get(text):
            result = self._pgconn.exec_prepared(name, values)
            if (
                result.status != ExecStatus.FATAL_ERROR
                or result.error_field(DiagnosticField.SQLSTATE) not in OUTDATED
            ):
                return result
            del self._names[text]
            if self._pgconn.transaction_status == TransactionStatus.INERROR:
                return result  # which ended the transaction: it is the caller's to begin again
        elif len(self._names) >= MAX_PREPARED:
            return None
        name = f"homepot_{next(self._numbers)}".encode()
        result = self._pgconn.prepare(name, text)
        if result.status != ExecStatus.COMMAND_OK:
            return result
        self._names[text] = name
        return self._pgconn.exec_prepared(name, values)

    def _raise(self, result: Any) -> None:
        if self._pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError(self._pgconn.get_error_message())
        raise psycopg.errors.error_from_result(result)
