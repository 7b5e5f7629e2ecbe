"""Limits on how often a route may be used, counted in the database for all processes."""

from __future__ import annotations

import hashlib
import math
import time
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.db import connection, models, transaction
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.models import ThrottleCounter, User
from homepot.rates import Rate
from homepot.request_context import client_address

# One statement on both databases: it counts a use, begins a window when the last one is over,
# and changes nothing and returns no row when the window's uses are spent.
TAKE = """
INSERT INTO throttle_counters (scope, key_digest, window_end, uses) VALUES (%s, %s, %s, 1)
ON CONFLICT (scope, key_digest) DO UPDATE SET
    uses = CASE
        WHEN throttle_counters.window_end = excluded.window_end THEN throttle_counters.uses + 1
        ELSE 1
    END,
    window_end = excluded.window_end
WHERE throttle_counters.window_end <> excluded.window_end OR throttle_counters.uses < %s
RETURNING uses
"""
# With each new window go some old ones: the table stays as small as its use.
PRUNED_PER_WINDOW = 20
# Whoever has one IPv6 address usually has all of this network.
IPV6_NETWORK_BITS = 64


class RouteThrottle(BaseThrottle):
    """Limits a view to the rate that the settings give its `throttle_scope`.

    Those signed in are counted by account, others by address.
    """

    seconds_left = 0

    def allow_request(self, request: Request, view: Any) -> bool:
        key = (
            account_key(request.user)
            if request.user.is_authenticated
            else address_key(request._request)
        )
        self.seconds_left = take(view.throttle_scope, key)
        return self.seconds_left == 0

    def wait(self) -> int:
        return self.seconds_left


def account_key(user: User) -> str:
    """What callers who are signed in are counted by."""
    return f"account {user.pk}"


def address_key(request: HttpRequest) -> str:
    """What callers without an account are counted by."""
    address = client_address(request)
    if address and isinstance(ip_address(address), IPv6Address):
        return str(ip_network((address, IPV6_NETWORK_BITS), strict=False))
    return str(address)


def take(scope: str, key: str, rate: Rate | None = None) -> int:
    """Count one use of `scope` by `key`; returns 0, or the seconds until the next is allowed.

    `rate` is the setting of `scope` unless given; without either everything is allowed and
    nothing counted.
    """
    rate = rate or settings.THROTTLE_RATES.get(scope)
    if rate is None:
        return 0
    now = time.time()
    window_end = (int(now) // rate.seconds + 1) * rate.seconds
    digest = hashlib.sha256(key.encode()).hexdigest()
    end = connection.ops.adapt_datetimefield_value(datetime.fromtimestamp(window_end, UTC))
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [scope, digest, end, rate.limit])
        row = cursor.fetchone()
    if row is None:
        return math.ceil(window_end - now)
    if row[0] == 1:
        delete_some(
            ThrottleCounter.objects.filter(window_end__lte=datetime.fromtimestamp(now, UTC)),
            order="window_end",
            limit=PRUNED_PER_WINDOW,
        )
    return 0


def delete_some(rows: models.QuerySet, *, order: str, limit: int) -> None:
    """Delete up to `limit` of `rows`, leaving out those that somebody else is at."""
    with transaction.atomic():
        some = rows.select_for_update(skip_locked=True).order_by(order)[:limit]
        rows.model._default_manager.filter(pk__in=list(some.values_list("pk", flat=True))).delete()
