"""Health checks summed up by device and hour, and by site and minute.

A mark in the database walks the checks by id. Each step adds some checks to the sums and moves
the mark in one transaction, so that a step happens wholly or not at all. Checks count by when
they came, which the server's clock says: one that was late is new all the same.

PostgreSQL gives ids before transactions end, so a check may become visible when the mark has
already seen higher ids. The mark therefore walks up to a ceiling and no further. A ceiling is
noted together with the number of the transaction that notes it. Once all transactions with
lower numbers have ended, whatever has an id up to the ceiling is either there or will never
be: a check gets its id from a transaction that already has its number, because it first locked
the device. For writers that lock nothing first, the ceiling is a check that came
some seconds ago; in between they have long got their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import BigIntegerField, Count, F, Func, Max, Min, Q
from django.db.models.functions import Coalesce

from devices.models import HealthCheck, HealthRollup, RollupProgress, SiteMinute
from devices.models.rollup import RESPONSE_BUCKETS_MS

CHECKS_AT_ONCE = 5000
SETTLING_TIME = timedelta(seconds=5)
# What is below so many newer ones came long enough ago.
UNSETTLED_AT_MOST = 10_000


class TransactionNumber(Func):
    """A number of PostgreSQL's transactions; 0 on SQLite, whose writers take turns."""

    output_field = BigIntegerField()
    arity = 0

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="0", **context)


class ThisTransaction(TransactionNumber):
    template = "pg_current_xact_id()::text::bigint"


class OldestOpenTransaction(TransactionNumber):
    """All with a lower number have ended."""

    template = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


class NewestEndedTransaction(TransactionNumber):
    template = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1"


def roll_up_steps(now: datetime) -> Iterator[int]:
    """Sum up what came before `now`, some checks at a time; yields how many each time."""
    _raise_ceiling(now)
    while count := _roll_up_some():
        yield count


def _raise_ceiling(now: datetime) -> None:
    newest = HealthCheck.objects.order_by("-pk").values("pk", "checked_at")[:UNSETTLED_AT_MOST]
    has_settled = Q(checked_at__lte=now - SETTLING_TIME)
    top = newest.aggregate(top=Coalesce(Max("pk", filter=has_settled), Min("pk") - 1))["top"]
    if top is None:
        return
    RollupProgress.objects.get_or_create(pk=1)
    is_reached = Q(rolled_up_to__gte=F("ceiling"))
    # Its number comes from another server, whose data this one was given.
    is_foreign = Q(settled_after__gt=NewestEndedTransaction())
    # A statement of its own: the transaction gets its number after `top` was read.
    RollupProgress.objects.filter(is_reached | is_foreign, pk=1, rolled_up_to__lt=top).update(
        ceiling=top, settled_after=ThisTransaction()
    )


@transaction.atomic
def _roll_up_some() -> int:
    progress = (
        RollupProgress.objects.select_for_update(skip_locked=True)
        .filter(rolled_up_to__lt=F("ceiling"), settled_after__lte=OldestOpenTransaction(), pk=1)
        .first()
    )
    if progress is None:
        return 0
    above = progress.rolled_up_to
    checks = HealthCheck.objects.filter(pk__gt=above, pk__lte=progress.ceiling).order_by("pk")
    found = checks.values("pk")[:CHECKS_AT_ONCE].aggregate(count=Count("pk"), last=Max("pk"))
    up_to = found["last"] if found["count"] == CHECKS_AT_ONCE else progress.ceiling
    with connection.cursor() as cursor:
        # The lock order: site, then device.
        for statement in STATEMENTS[connection.vendor]:
            cursor.execute(statement, {"above": above, "up_to": up_to})
    RollupProgress.objects.filter(pk=1).update(rolled_up_to=up_to)
    count: int = found["count"]
    return count


# What differs between the engines. A load counts when it is a number and a percentage: a
# device that reports 1e300 must not spoil the sum.
DIALECTS = {
    "postgresql": {
        "hour": "date_trunc('hour', checked_at, 'UTC')",
        "minute": "date_trunc('minute', checked_at, 'UTC')",
        "load": """
            CASE WHEN jsonb_typeof(response_data->'{key}') = 'number' THEN
                CASE WHEN (response_data->'{key}')::numeric BETWEEN 0 AND 100
                THEN (response_data->'{key}')::float8 END
            END""",
        "greatest": "GREATEST",
    },
    "sqlite": {
        "hour": "substr(checked_at, 1, 13) || ':00:00'",
        "minute": "substr(checked_at, 1, 16) || ':00'",
        "load": """
            CASE WHEN json_type(response_data, '$.{key}') IN ('integer', 'real')
                AND json_extract(response_data, '$.{key}') BETWEEN 0 AND 100
            THEN CAST(json_extract(response_data, '$.{key}') AS REAL)
            END""",
        "greatest": "MAX",
    },
}
CHECKS = "health_checks.id > %(above)s AND health_checks.id <= %(up_to)s"
COUNTS = {"checks": "count(*)", "unhealthy": "count(*) FILTER (WHERE NOT is_healthy)"}
LOADS = {"cpu": "cpu_usage", "memory": "memory_usage", "disk": "disk_usage"}


def _hours(dialect: Mapping[str, str]) -> str:
    """Add checks to the sums of their devices and hours."""
    loads = ", ".join(f"{dialect['load'].format(key=key)} AS {name}" for name, key in LOADS.items())
    sums = {
        **COUNTS,
        "response_count": "count(response_time_ms)",
        "response_ms_sum": "COALESCE(sum(response_time_ms), 0)",
        **{f"{name}_count": f"count({name})" for name in LOADS},
        **{f"{name}_sum": f"COALESCE(sum({name}), 0)" for name in LOADS},
    }
    maxima = {
        "response_ms_max": "COALESCE(max(response_time_ms), 0)",
        **{f"{name}_max": f"COALESCE(max({name}), 0)" for name in LOADS},
    }
    source = (
        f"(SELECT device_id, is_healthy, response_time_ms, "  # noqa: S608
        f"{dialect['hour']} AS hour, {loads} FROM health_checks WHERE {CHECKS}) AS checks"
    )
    return _upsert(
        HealthRollup._meta.db_table, ("device_id", "hour"), sums, maxima, source, dialect
    )


def _minutes(dialect: Mapping[str, str]) -> str:
    """Add checks to the sums of their sites and minutes."""
    sums, above = dict(COUNTS), -1
    for bucket in RESPONSE_BUCKETS_MS:
        sums[f"up_to_{bucket}_ms"] = (
            f"count(*) FILTER (WHERE response_time_ms > {above} AND response_time_ms <= {bucket})"
        )
        above = bucket
    sums[f"over_{above}_ms"] = f"count(*) FILTER (WHERE response_time_ms > {above})"
    source = (
        f"(SELECT devices.site_id, is_healthy, response_time_ms, "  # noqa: S608
        f"{dialect['minute']} AS minute FROM health_checks "
        f"JOIN devices ON devices.id = health_checks.device_id WHERE {CHECKS}) AS checks"
    )
    return _upsert(SiteMinute._meta.db_table, ("site_id", "minute"), sums, {}, source, dialect)


def _upsert(
    table: str,
    keys: tuple[str, str],
    sums: Mapping[str, str],
    maxima: Mapping[str, str],
    source: str,
    dialect: Mapping[str, str],
) -> str:
    """One statement that adds sums over `source`, by `keys`, to those in `table`."""
    columns = {**{key: key for key in keys}, **sums, **maxima}
    updates = [f"{name} = {table}.{name} + excluded.{name}" for name in sums] + [
        f"{name} = {dialect['greatest']}({table}.{name}, excluded.{name})" for name in maxima
    ]
    # `WHERE true` tells SQLite that the select ends there.
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608
        f"SELECT {', '.join(columns.values())} FROM {source} WHERE true "
        f"GROUP BY {', '.join(keys)} "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(updates)}"
    )


STATEMENTS = {vendor: (_minutes(dialect), _hours(dialect)) for vendor, dialect in DIALECTS.items()}
