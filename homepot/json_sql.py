"""Rows of another table as JSON beside a row, so that both come in one statement."""

from __future__ import annotations

from typing import Any

from django.db.models import Aggregate, Func, JSONField


class JSONRow(Func):
    """Some expressions as a JSON list."""

    # Django's JSONArray first asks SQLite whether it knows JSON: one more statement.
    output_field = JSONField()
    function = "json_array"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="jsonb_build_array", **context)


class JSONList(Aggregate):
    """What the rows of a group hold as a JSON list, in no order."""

    output_field = JSONField()
    function = "json_group_array"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="jsonb_agg", **context)
