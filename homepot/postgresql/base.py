"""Django's PostgreSQL engine, with errors that say what is wrong.

Pool connections are checked before use, integers before they are sent.
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base, operations, schema
from django.db.utils import DataError, OperationalError
from psycopg_pool import PoolTimeout

from homepot.database import describe_database
from homepot.postgresql.pool import HomepotPool


class DatabaseOperations(operations.DatabaseOperations):
    def adapt_integerfield_value(self, value: Any, internal_type: str) -> Any:
        """Raise DataError for an integer that its column cannot hold.

        In binary, psycopg would send its low bytes: 2^32 + 5 became 5.
        """
        if isinstance(value, int):
            _, highest = self.integer_field_range(internal_type)
            if not -highest - 1 <= value <= highest:
                raise DataError(f"{value} is out of the range of {internal_type}.")
        return super().adapt_integerfield_value(value, internal_type)


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    def _create_like_index_sql(self, model: Any, field: Any) -> None:
        """No second index of unique texts, for `startswith` in the collations of most languages.

        No list or page looks for ids that way, and each row would have one entry more.
        """


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations
    SchemaEditorClass = DatabaseSchemaEditor
    _connection_pools: dict[str, HomepotPool] = {}

    @property
    def pool(self) -> HomepotPool | None:
        pool_options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not pool_options:
            return None
        if self.alias not in self._connection_pools:
            pool = HomepotPool(
                kwargs={**self.get_connection_params(), "autocommit": True},
                open=False,  # by the first request that needs it
                configure=self._configure_connection,  # type: ignore[attr-defined]
                name="homepot",
                **pool_options,
            )
            # Threads may race here; the first pool wins and the others were never opened.
            self._connection_pools.setdefault(self.alias, pool)
        return self._connection_pools[self.alias]

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            if self.pool and self.pool.closed:
                # The pool only says that it timed out; a plain connection says why.
                psycopg.connect(**conn_params).close()
            return super().get_new_connection(conn_params)
        except PoolTimeout:
            raise
        except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
            raise OperationalError(connection_problem(error, self.settings_dict)) from error


def connection_problem(error: psycopg.Error, options: dict[str, Any]) -> str:
    """One line for people: which database could not be reached, and why."""
    reasons = [line for line in str(error).splitlines() if "failed: " in line] or [str(error)]
    reason = " ".join(reasons[-1].split("failed: ")[-1].split())
    return f"Cannot connect to the {describe_database(options)}: {reason}."
