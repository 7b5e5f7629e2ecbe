"""How the fleet is now, how it was in the last day, and what it sent in the last hour.

What the admin's first page shows; one statement each, whatever the fleet's size.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import CharField, Count, Func, IntegerField, QuerySet, Sum, Value

from accounts.scope import in_scope
from devices.charts import BUCKETS
from devices.enums import DeviceStatus
from devices.models import Device, SiteMinute, StatusChange
from homepot.admin.charts import Span

# What needs somebody.
TROUBLES = (DeviceStatus.ERROR, DeviceStatus.OFFLINE)
DAY = Span("day", "Day", timedelta(days=1), timedelta(minutes=30), words_every=timedelta(hours=4))
HOUR = Span(
    "hour", "Hour", timedelta(hours=1), timedelta(minutes=1), words_every=timedelta(minutes=10)
)
# Checks are summed up some seconds after they came.
SUMMED_UP_AFTER = timedelta(seconds=20)


@dataclass
class SiteNow:
    pk: int
    site_id: str
    name: str
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def troubles(self) -> int:
        return sum(self.counts[status] for status in TROUBLES)


@dataclass
class Fleet:
    """Devices in use by status: as readers see them, and as they are stored."""

    sites: list[SiteNow]
    now: Counter[str]
    stored: Counter[str]

    def worst_first(self) -> list[SiteNow]:
        """The sites, those with most devices in trouble first."""

        def badness(site: SiteNow) -> tuple[Any, ...]:
            share = site.counts[DeviceStatus.ONLINE] / site.counts.total()
            return -site.troubles, -site.counts[DeviceStatus.ERROR], share, site.name, site.pk

        return sorted(self.sites, key=badness)


def fleet_now(user: Any, now: datetime) -> Fleet:
    """The devices that `user` may know of, by site and status."""
    rows = (
        Device.objects.active()
        .visible_to(user)
        .with_status(now)
        .order_by()
        .values_list("site", "site__site_id", "site__name", "status", "current_status")
        .annotate(Count("pk"))
    )
    sites: dict[int, SiteNow] = {}
    stored: Counter[str] = Counter()
    for pk, site_id, name, stored_status, status, count in rows:
        site = sites.setdefault(pk, SiteNow(pk, site_id, name))
        site.counts[status] += count
        stored[stored_status] += count
    counts = sum((site.counts for site in sites.values()), Counter())
    return Fleet(list(sites.values()), counts, stored)


class MinuteNumber(Func):
    """A time as the whole minutes since 1970: quick to group by, on both engines."""

    output_field = IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "(extract(epoch FROM date_trunc('minute', %(expressions)s)) / 60)::integer"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # Without the part of a second, which it would round.
        template = "CAST(strftime('%%%%s', substr(%(expressions)s, 1, 19)) AS INTEGER) / 60"
        return self.as_sql(compiler, connection, template=template, **context)


def minute_number(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def status_history(user: Any, fleet: Fleet, now: datetime) -> list[Counter[str]]:
    """Devices by status in each step of DAY, at the minute when most of them were in trouble.

    From how they are stored now, changes are taken back one minute after the other. A device
    that was added meanwhile came from nowhere; retired ones are left out all along.
    """
    times = DAY.times(now)
    changes: defaultdict[int, list[tuple[str, str, int]]] = defaultdict(list)
    for minute, old_status, new_status, count in _changes(user, times[0]):
        changes[minute].append((old_status, new_status, count))
    state = Counter(fleet.stored)
    history: list[Counter[str]] = []
    before = minute_number(now) + 1
    seen = [Counter(fleet.now)]
    for begin in reversed(times):
        seen.append(Counter(state))
        first = minute_number(begin)
        for minute in sorted((m for m in changes if first <= m < before), reverse=True):
            for old_status, new_status, count in changes[minute]:
                state[new_status] -= count
                if old_status:
                    state[old_status] += count
            seen.append(Counter(state))
        history.append(max(seen, key=lambda counts: sum(counts[status] for status in TROUBLES)))
        seen, before = [], first
    # What was copied from elsewhere may lack changes.
    return [+counts for counts in reversed(history)]


def _changes(user: Any, since: datetime) -> Iterable[tuple[int, str, str, int]]:
    # The few that are retired, as a list made once: looking at the device of each change took
    # most of the time, at a hundred thousand changes a day.
    retired = Device.objects.filter(is_active=False).order_by().values("pk")
    flips: QuerySet[Any, Any] = (
        StatusChange.objects.visible_to(user)
        .filter(at__gte=since)
        .exclude(device__in=retired)
        .order_by()
        .annotate(minute=MinuteNumber("at"))
        .values_list("minute", "old_status", "new_status")
        .annotate(number=Count("pk"))
    )
    added: QuerySet[Any, Any] = (
        Device.objects.active()
        .visible_to(user)
        .filter(created_at__gte=since)
        .order_by()
        .annotate(
            minute=MinuteNumber("created_at"),
            old=Value("", output_field=CharField()),
            new=Value(DeviceStatus.UNKNOWN.value, output_field=CharField()),
        )
        .values_list("minute", "old", "new")
        .annotate(number=Count("pk"))
    )
    return flips.union(added, all=True)


def last_hour(user: Any, now: datetime) -> tuple[Sequence[datetime], list[Counter[str]]]:
    """The minutes of HOUR that are summed up, and the sums of checks in each."""
    times = HOUR.times(now - SUMMED_UP_AFTER - HOUR.step)
    sums: list[Counter[str]] = [Counter() for _ in times]
    names = ("checks", "unhealthy", *BUCKETS)
    minutes = in_scope(SiteMinute.objects.all(), user, "site")
    found = minutes.filter(minute__gte=times[0], minute__lte=times[-1]).order_by()
    summed = found.values_list("minute").annotate(**{f"all_{name}": Sum(name) for name in names})
    for minute, *values in summed:
        sums[(minute - times[0]) // HOUR.step].update(dict(zip(names, values, strict=True)))
    return times, sums
