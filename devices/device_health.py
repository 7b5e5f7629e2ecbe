"""How one device is, and how its last day was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django.db.models import Count, FilteredRelation, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.http import Http404

from devices.enums import DeviceStatus
from devices.models import Device, HealthCheck, HealthRollup, RollupProgress, StatusChange
from devices.serializers import HealthCheckSerializer
from devices.timeline import Stretch, joined
from homepot.compiled import Asked, Question, derived, read_json
from homepot.json_sql import JSONList, JSONRow
from homepot.rows import row_shape

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CHANGE_COLUMNS = ("at", "pk", "old_status", "new_status", "reason")
# Each holds how many checks and how many unhealthy ones, or nothing.
DAY_COUNTS = ("summed", "not_summed", "of_first_hour")


SHAPE = row_shape(HealthCheckSerializer)
LAST_CHECK = tuple(f"latest__{source}" for source in SHAPE.sources)
COLUMNS = (
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
    *LAST_CHECK,
)


def device_health(asked: Asked) -> dict[str, Any]:
    """How the active device `device_id` as asked is now, and how its last day was.

    One statement. Raises Http404.
    """
    rows = Question(asked, _device).rows()
    if not rows:
        raise Http404
    row = SimpleNamespace(**dict(zip(COLUMNS, rows[0], strict=True)))
    in_order = sorted((_aware(at), *change) for at, *change in read_json(row.changes) or [])
    changes_of_day = [(at, *change) for at, _, *change in in_order]
    counts = [read_json(getattr(row, name)) or (0, 0) for name in DAY_COUNTS]
    checks_of_day, unhealthy = map(sum, zip(*counts, strict=True))
    stretches = joined(changes_of_day, row, asked.now - DAY, asked.now)
    return {
        "device_id": asked["device_id"],
        "site_id": row.site__site_id,
        "name": row.name,
        "status": row.current_status,
        "status_reason": row.current_reason,
        "status_since": row.current_since,
        "last_seen": row.last_seen,
        "last_check": SHAPE.as_dicts([rows[0][-len(LAST_CHECK) :]])[0] if row.latest__id else None,
        "last_24_hours": {
            "checks": checks_of_day,
            "unhealthy_checks": unhealthy,
            "availability_percentage": _availability(stretches),
        },
    }


def _device(asked: Asked) -> QuerySet[Any, Any]:
    since = derived(asked.now, lambda now: now - DAY)
    checks = HealthCheck.objects.filter(device=OuterRef("pk"))
    latest = checks.order_by("-checked_at", "-pk").values("pk")[:1]
    changes = StatusChange.objects.filter(device=OuterRef("pk"), at__gte=since)
    return (
        Device.objects.active()
        .visible_to(asked.user)
        .filter(device_id=asked["device_id"])
        .with_status(asked.now)
        .annotate(
            latest=FilteredRelation(
                "health_checks", condition=Q(health_checks__pk=Subquery(latest))
            ),
            changes=_grouped(changes, JSONList(JSONRow(*CHANGE_COLUMNS))),
            **_day_counts(checks, since),
        )
        .order_by()
        .values_list(*COLUMNS)[:1]
    )


def _day_counts(checks: QuerySet[HealthCheck], since: Any) -> dict[str, Subquery]:
    """How many of `checks`, those of the device of an outer query, came from `since` on.

    Reads the sums by hour, and single checks only of the hour in which `since` lies and of the
    seconds that are not summed up yet: the index has their ids.
    """
    first_hour_ends = derived(since, _next_hour)
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


def _next_hour(since: datetime) -> datetime:
    return since.replace(minute=0, second=0, microsecond=0) + HOUR


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
