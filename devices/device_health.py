"""How one device is, and how its last day was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, FilteredRelation, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.http import Http404

from devices.enums import DeviceStatus
from devices.models import HealthCheck, HealthRollup, RollupProgress, StatusChange
from devices.querysets import DeviceQuerySet
from devices.serializers import HealthCheckSerializer
from devices.timeline import Stretch, joined
from homepot.json_sql import JSONList, JSONRow
from homepot.rows import row_shape

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CHANGE_COLUMNS = ("at", "pk", "old_status", "new_status", "reason")
# Each holds how many checks and how many unhealthy ones, or nothing.
DAY_COUNTS = ("summed", "not_summed", "of_first_hour")


def device_health(devices: DeviceQuerySet, device_id: str, now: datetime) -> dict[str, Any]:
    """How the device `device_id` among `devices` is at `now`, and how its last day was.

    One statement. Raises Http404.
    """
    since = now - DAY
    shape = row_shape(HealthCheckSerializer)
    last_check = [f"latest__{source}" for source in shape.sources]
    checks = HealthCheck.objects.filter(device=OuterRef("pk"))
    latest = checks.order_by("-checked_at", "-pk").values("pk")[:1]
    changes = StatusChange.objects.filter(device=OuterRef("pk"), at__gte=since)
    row = (
        devices.filter(device_id=device_id)
        .with_status(now)
        .annotate(
            latest=FilteredRelation(
                "health_checks", condition=Q(health_checks__pk=Subquery(latest))
            ),
            changes=_grouped(changes, JSONList(JSONRow(*CHANGE_COLUMNS))),
            **_day_counts(checks, since),
        )
        .order_by()
        .values_list(
            "site__site_id",
            "name",
            "status",
            "status_reason",
            "current_status",
            "current_reason",
            "current_since",
            "last_seen",
            "changes",
            *DAY_COUNTS,
            *last_check,
            named=True,
        )
        .first()
    )
    if row is None:
        raise Http404
    in_order = sorted((_aware(at), *change) for at, *change in row.changes or [])
    changes_of_day = [(at, *change) for at, _, *change in in_order]
    counts = [getattr(row, name) or (0, 0) for name in DAY_COUNTS]
    checks_of_day, unhealthy = map(sum, zip(*counts, strict=True))
    return {
        "device_id": device_id,
        "site_id": row.site__site_id,
        "name": row.name,
        "status": row.current_status,
        "status_reason": row.current_reason,
        "status_since": row.current_since,
        "last_seen": row.last_seen,
        "last_check": shape.as_dicts([row[-len(last_check) :]])[0] if row.latest__id else None,
        "last_24_hours": {
            "checks": checks_of_day,
            "unhealthy_checks": unhealthy,
            "availability_percentage": _availability(joined(changes_of_day, row, since, now)),
        },
    }


def _day_counts(checks: QuerySet[HealthCheck], since: datetime) -> dict[str, Subquery]:
    """How many of `checks`, those of the device of an outer query, came from `since` on.

    Reads the sums by hour, and single checks only of the hour in which `since` lies and of the
    seconds that are not summed up yet: the index has their ids.
    """
    first_hour_ends = since.replace(minute=0, second=0, microsecond=0) + HOUR
    sums = HealthRollup.objects.filter(device=OuterRef("pk"), hour__gte=first_hour_ends)
    rolled_up_to = RollupProgress.objects.filter(pk=1).values("rolled_up_to")
    not_summed = checks.filter(
        checked_at__gte=first_hour_ends, pk__gt=Coalesce(Subquery(rolled_up_to), 0)
    )
    of_first_hour = checks.filter(checked_at__gte=since, checked_at__lt=first_hour_ends)
    counted = JSONRow(Count("pk"), Count("pk", filter=Q(is_healthy=False)))
    return {
        "summed": _grouped(sums, JSONRow(Sum("checks"), Sum("unhealthy"))),
        "not_summed": _grouped(not_summed, counted),
        "of_first_hour": _grouped(of_first_hour, counted),
    }


def _grouped(rows: QuerySet[Any], value: Combinable) -> Subquery:
    """`value`, an aggregate over all of `rows`, which are of one device."""
    return Subquery(rows.order_by().values("device").annotate(value=value).values("value"))


def _aware(text: str) -> datetime:
    """A time as the database writes it in JSON: SQLite leaves the offset out."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _availability(stretches: Sequence[Stretch]) -> float | None:
    """The share of their time, as far as known, that the device was there: percent.

    There is a device that is online, in error or in maintenance.
    """
    lengths: Counter[str] = Counter()
    for stretch in stretches:
        lengths[stretch.status] += stretch.length // timedelta(microseconds=1)
    away = lengths[DeviceStatus.OFFLINE]
    known = sum(lengths.values()) - lengths[DeviceStatus.UNKNOWN]
    if not known:
        return None
    return round(100 * (1 - away / known), 2)
