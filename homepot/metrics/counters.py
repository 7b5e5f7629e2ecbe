"""What each process counts by itself.

Labels hold what we name ourselves and nothing that a caller sent, so that their number is
bounded.
"""

from __future__ import annotations

from django.db import connection
from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "homepot_request_seconds",
    "Time to answer requests, by route and status.",
    ["route", "method", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
REFUSED_KEYS = Counter(
    "homepot_refused_keys", "Requests with a key, token or session that is not good."
)
DEFERRED = Counter(
    "homepot_deferred_requests", "Check-ins and the like that were told to come again: overload."
)
POOL_CONNECTIONS = Gauge(
    "homepot_pool_connections",
    "Connections to PostgreSQL of all web processes.",
    ["state"],
    multiprocess_mode="livesum",
)
POOL_WAITING = Gauge(
    "homepot_pool_waiting_requests",
    "Requests that wait for a connection.",
    multiprocess_mode="livesum",
)
POOL_WAIT = Counter("homepot_pool_wait_seconds", "Time that requests have waited for a connection.")
POOL_LOST = Counter("homepot_pool_lost_connections", "Connections that were found dead.")
POOL_FAILED = Counter("homepot_pool_failed_connects", "Attempts to connect that failed.")


def note_pool() -> None:
    """Note how the pool of this process is; a task of the pulse."""
    pool = getattr(connection, "pool", None)
    if pool is None or pool.closed:
        return
    stats = pool.pop_stats()
    size = stats.get("pool_size", 0)
    idle = stats.get("pool_available", 0) + len(pool.at_hand)
    POOL_CONNECTIONS.labels("used").set(size - idle)
    POOL_CONNECTIONS.labels("idle").set(idle)
    POOL_WAITING.set(stats.get("requests_waiting", 0))
    POOL_WAIT.inc(stats.get("requests_wait_ms", 0) / 1000)
    POOL_LOST.inc(stats.get("connections_lost", 0) + stats.get("returns_bad", 0))
    POOL_FAILED.inc(stats.get("connections_errors", 0))
