"""Failed sign-ins, counted by account and address in the table of django-axes.

Five without fifteen minutes of rest in between shut that account out from that address, and
from no other, for fifteen minutes. Names of nobody are counted alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.db import connection
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import Throttled

from accounts.models import User, canonical
from accounts.throttles import delete_some
from homepot.request_context import client_address, printable

SHOWN_NAME_LENGTH = 100
# Of callers through a socket that knows no addresses, counted together.
NO_ADDRESS = "::"

# One statement on both databases, so that parallel failures are all counted. The user agent
# stays empty: it is part of the table's key, and a guesser could send another each time.
COUNT_FAILURE = """
INSERT INTO axes_accessattempt (
    username, ip_address, user_agent, http_accept, path_info, get_data, post_data,
    attempt_time, failures_since_start
)
VALUES (%s, %s, '', '', %s, '', '', %s, 1)
ON CONFLICT (username, ip_address, user_agent) DO UPDATE SET
    failures_since_start = CASE
        WHEN axes_accessattempt.attempt_time > %s
        THEN axes_accessattempt.failures_since_start + 1
        ELSE 1
    END,
    attempt_time = excluded.attempt_time,
    path_info = excluded.path_info
RETURNING failures_since_start
"""
PRUNED_PER_FAILURE = 20
# Of those from which somebody fails, so many are told.
ADDRESSES_AT_MOST = 20


class AccountLockedError(Throttled):
    """Too many failed sign-ins with this name from this address."""

    default_code = "account_locked"
    default_detail = "Too many failed sign-ins with this name from your address."


def shown_name(tried: str) -> str:
    """What was typed as a name, as logs and pages take it."""
    return printable(tried)[:SHOWN_NAME_LENGTH]


def counted_name(tried: str, user: User | None) -> str:
    """The one name under which failures as `tried`, found to be `user`, are counted."""
    return user.username if user else canonical(shown_name(tried))[:SHOWN_NAME_LENGTH]


def axes_username(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """Answers axes, wherever it asks for the name itself."""
    tried = str((credentials or {}).get("username") or "")
    return counted_name(tried, User.objects.find_by_sign_in_name(tried))


def counted_address(request: HttpRequest) -> str:
    """The address under which failures of `request` are counted."""
    return client_address(request) or NO_ADDRESS


def seconds_locked(name: str, address: str) -> int:
    """For how long `name` is still locked out from `address`; 0 when it is not."""
    last = (
        _attempts(name, address)
        .filter(failures_since_start__gte=settings.AXES_FAILURE_LIMIT)
        .aggregate(last=Max("attempt_time"))["last"]
    )
    if last is None:
        return 0
    left = last + settings.AXES_COOLOFF_TIME - timezone.now()
    return max(0, math.ceil(left.total_seconds()))


def refuse_if_locked(name: str, address: str) -> None:
    """Raise AccountLockedError while `name` is locked out from `address`."""
    if seconds := seconds_locked(name, address):
        raise AccountLockedError(wait=seconds)


def locked_until(attempt: AccessAttempt) -> datetime | None:
    """When the lock that `attempt` counts up to ends; None when there is none now."""
    end: datetime = attempt.attempt_time + settings.AXES_COOLOFF_TIME
    is_locked = attempt.failures_since_start >= settings.AXES_FAILURE_LIMIT
    return end if is_locked and end > timezone.now() else None


def failures_of(user: User) -> list[AccessAttempt]:
    """The failed sign-ins as `user` that still count, by address, the newest first."""
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    counted = _attempts(user.username, None).filter(attempt_time__gt=since)
    return list(counted.order_by("-attempt_time", "-pk")[:ADDRESSES_AT_MOST])


def count_failure(name: str, address: str, path: str) -> int:
    """Count one more failure as `name` from `address`; returns how many there are now."""
    now = timezone.now()
    long_ago = now - settings.AXES_COOLOFF_TIME
    address_column: Any = AccessAttempt._meta.get_field("ip_address")
    with connection.cursor() as cursor:
        cursor.execute(
            COUNT_FAILURE,
            [
                name,
                address_column.get_db_prep_value(address, connection),
                path[:255],
                _adapted(now),
                _adapted(long_ago),
            ],
        )
        return int(cursor.fetchone()[0])


def remove_old_failures() -> None:
    """Remove some of the counts that no longer matter."""
    long_ago = timezone.now() - settings.AXES_COOLOFF_TIME
    delete_some(
        AccessAttempt.objects.filter(attempt_time__lte=long_ago),
        order="attempt_time",
        limit=PRUNED_PER_FAILURE,
    )


def forget_failures(*, name: str | None = None, address: str | None = None) -> int:
    """Forget those as `name` and from `address`, of all names and addresses where None.

    Returns how many counts there were.
    """
    count, _ = _attempts(name, address).delete()
    return count


def _attempts(name: str | None, address: str | None) -> QuerySet[AccessAttempt]:
    attempts = AccessAttempt.objects.all()
    if name is not None:
        attempts = attempts.filter(username=name)
    if address is not None:
        attempts = attempts.filter(ip_address=address)
    return attempts


def _adapted(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)
