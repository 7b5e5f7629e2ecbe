"""How a device is: derived from facts and the time, never set by hand.

The rule stands here twice, as a function and as SQL expressions for lists; the check-in of
PostgreSQL (`check_in/check_in_1.sql`) has it a third time. One table of tests holds them together.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Case, CharField, Exists, F, Func, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat

from devices.enums import DeviceStatus
from homepot.models import ServicePulse

# A device is silent after this many of the intervals it was told.
PATIENCE = 2.5
REASON_LENGTH = 500
NEVER_SEEN_REASON = "No check-in yet."
HEALTHY_REASON = "Checks in, healthy."
UNHEALTHY_REASON = "The last check was unhealthy."
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
TO_CHAR_FORMAT = "YYYY-MM-DD HH24:MI:SS"  # the same, as PostgreSQL says it


class DerivedStatus(NamedTuple):
    """`due_at` is when time alone will change `status`; None: never."""

    status: DeviceStatus
    reason: str
    due_at: datetime | None


def silent_reason(last_seen: datetime | None) -> str:
    if last_seen is None:
        return NEVER_SEEN_REASON
    return f"No check-in since {last_seen:{TIME_FORMAT}} UTC."


def maintenance_reason(until: datetime) -> str:
    return f"In maintenance until {until:{TIME_FORMAT}} UTC."


def derive_status(
    *,
    last_seen: datetime | None,
    silent_at: datetime | None,
    bad_checks: int,
    bad_checks_for_error: int,
    error_message: str,
    maintenance_until: datetime | None,
    now: datetime,
) -> DerivedStatus:
    """The status at `now` of a device that was last seen at `last_seen` (None: never).

    It counts as silent from `silent_at`; `bad_checks` is how many of its last checks in a row
    were unhealthy, the last with `error_message`.
    """
    if maintenance_until is not None and maintenance_until > now:
        return DerivedStatus(
            DeviceStatus.MAINTENANCE, maintenance_reason(maintenance_until), maintenance_until
        )
    if last_seen is None or silent_at is None:
        return DerivedStatus(DeviceStatus.UNKNOWN, NEVER_SEEN_REASON, None)
    if silent_at <= now:
        return DerivedStatus(DeviceStatus.OFFLINE, silent_reason(last_seen), None)
    if bad_checks >= bad_checks_for_error:
        reason = error_message or UNHEALTHY_REASON
        return DerivedStatus(DeviceStatus.ERROR, reason[:REASON_LENGTH], silent_at)
    return DerivedStatus(DeviceStatus.ONLINE, HEALTHY_REASON, silent_at)


def derive_due(
    *,
    status: str,
    last_seen: datetime | None,
    heard_after: datetime,
    bad_checks: int,
    bad_checks_for_error: int,
) -> tuple[DeviceStatus, str]:
    """What a device turned into, and why, when the time of its stored `status` had come.

    Maintenance was over, or else it was silent. It is heard when it was seen after `heard_after`.
    """
    if status == DeviceStatus.MAINTENANCE:
        if last_seen is None:
            return DeviceStatus.UNKNOWN, NEVER_SEEN_REASON
        if last_seen > heard_after and bad_checks >= bad_checks_for_error:
            return DeviceStatus.ERROR, UNHEALTHY_REASON
        if last_seen > heard_after:
            return DeviceStatus.ONLINE, HEALTHY_REASON
    return DeviceStatus.OFFLINE, silent_reason(last_seen)


class UTCText(Func):
    """A time column as text, in TIME_FORMAT."""

    output_field = CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            template=f"to_char(%(expressions)s AT TIME ZONE 'UTC', '{TO_CHAR_FORMAT}')",
            **context,
        )

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            template="substr(%(expressions)s, 1, 19)",  # kept as text, in UTC
            **context,
        )


def absence(now: Any, away_before: Any) -> QuerySet[ServicePulse]:
    """What shows that the service was away, and devices deserve time to come back."""
    return ServicePulse.objects.filter(Q(grace_until__gt=now) | Q(beat_at__lt=away_before))


def service_was_away(now: datetime, interval: timedelta) -> Exists:
    """Whether devices still deserve time to come back, because the service itself was away."""
    return Exists(absence(now, now - interval))


def is_service_away(now: datetime, interval: timedelta) -> bool:
    """`service_was_away`, asked in one statement of its own."""
    return absence(now, now - interval).exists()


def status_expressions(
    *, now: Any, away_before: Any, heard_after: Any, bad_checks_for_error: Any, device: str = ""
) -> dict[str, Combinable]:
    """`current_status`, `current_reason` and `current_since` as of `now`, in SQL.

    What is stored, but for devices whose time has come: silent ones are offline and ended
    maintenance is over, swept or not. The service is away that last beat before `away_before`;
    a device is heard that was seen after `heard_after`. `device` is the path to the device, such
    as "device__".
    """

    def column(name: str, lookup: str = "") -> str:
        return f"{device}{name}{lookup}"

    was_away = Exists(absence(now, away_before))
    is_due = Q(**{column("status_due_at", "__lte"): now}) & ~was_away
    is_unseen = Q(**{column("last_seen"): None})
    # Then it was maintenance that ended, and not patience.
    was_maintained = Q(**{column("status"): DeviceStatus.MAINTENANCE})
    is_heard = was_maintained & Q(**{column("last_seen", "__gt"): heard_after})
    is_failing = is_heard & Q(**{column("bad_checks", "__gte"): bad_checks_for_error})
    silent_text = Concat(
        Value("No check-in since "),
        UTCText(F(column("last_seen"))),
        Value(" UTC."),
        output_field=CharField(),
    )
    status_due = Case(
        When(was_maintained & is_unseen, then=Value(DeviceStatus.UNKNOWN)),
        When(is_failing, then=Value(DeviceStatus.ERROR)),
        When(is_heard, then=Value(DeviceStatus.ONLINE)),
        default=Value(DeviceStatus.OFFLINE),
        output_field=CharField(),
    )
    reason_due = Case(
        When(is_unseen, then=Value(NEVER_SEEN_REASON)),
        When(is_failing, then=Value(UNHEALTHY_REASON)),
        When(is_heard, then=Value(HEALTHY_REASON)),
        default=silent_text,
        output_field=CharField(),
    )
    # Each asks `is_due` once: making its SQL costs more than all the rest.
    return {
        "current_status": Case(When(is_due, then=status_due), default=F(column("status"))),
        "current_reason": Case(When(is_due, then=reason_due), default=F(column("status_reason"))),
        "current_since": Case(
            When(is_due, then=F(column("status_due_at"))), default=F(column("status_since"))
        ),
    }
