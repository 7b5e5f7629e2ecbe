"""The pool of a web process while the server comes and goes."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future
from contextlib import suppress

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler

from homepot.database import database_options
from homepot.postgresql.pool import AT_HAND_SECONDS, RESTED_AFTER_SECONDS, HomepotPool
from homepot.testing.line import line_to
from homepot.testing.processes import wait_until

pytestmark = pytest.mark.django_db

# It takes a moment; but the machine may be busy. Who waits for a connection waits for longer.
SOON = 3.0


@pytest.fixture
def line():
    """The way to the server, which can be cut."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has neither a server nor a pool")
    with line_to(os.environ["DATABASE__URL"]) as line:
        yield line


@pytest.fixture
def use(line):
    """`use()` is a request of a web process with three connections; returns the seconds it took."""
    options = database_options(
        line.url, base_dir=settings.BASE_DIR, pool_size=3, max_overflow=0, is_web_process=True
    )
    pooled = ConnectionHandler({"default": {}, "pooled": options}).create_connection("pooled")

    def send_request():
        began = time.monotonic()
        try:
            with pooled.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            pooled.close()
        return time.monotonic() - began

    pooled.pool.open(wait=True, timeout=10)
    send_request()
    yield send_request
    pooled.close_pool()


def test_server_that_is_away_is_told_soon_and_found_soon(line, use):
    line.cut()
    with pytest.raises(OperationalError):
        use()
    # Long enough for a pause that doubles to be far too long afterwards.
    away_until = time.monotonic() + 4
    while time.monotonic() < away_until:
        began = time.monotonic()
        with pytest.raises(OperationalError):
            use()
        assert time.monotonic() - began < SOON
    line.mend()
    began = time.monotonic()
    while time.monotonic() - began < SOON:
        with suppress(OperationalError):
            use()
            return
    pytest.fail("nobody noticed that the server is back")


def test_restart_in_a_quiet_moment_is_noticed_by_nobody(line, use):
    line.cut()
    line.mend()
    time.sleep(RESTED_AFTER_SECONDS + 0.1)
    assert use() < SOON


def test_connection_at_hand_is_nobodys_twice_and_goes_back_to_the_pool(line):
    options = {"min_size": 1, "max_size": 2, "kwargs": {"autocommit": True}}
    with HomepotPool(conninfo=line.url, **options) as pool:
        first, second = pool.getconn(60), pool.getconn(60)
        assert first is not second
        waited_for = Future()
        waiting = threading.Thread(target=lambda: waited_for.set_result(pool.getconn(60)))
        waiting.start()
        wait_until(lambda: pool.get_stats().get("requests_waiting"))
        pool.putconn(first)  # to the one who waits
        assert waited_for.result(60) is first
        waiting.join()
        pool.putconn(second)
        assert pool.at_hand == [second]
        assert pool.getconn(60) is second

        first.execute("BEGIN")
        pool.putconn(first)  # which is not as it was
        assert pool.at_hand == []
        second.taken_at -= AT_HAND_SECONDS + 1
        pool.putconn(second)  # whose age the pool looks after
        assert pool.at_hand == []
        assert {pool.getconn(60), pool.getconn(60)} == {first, second}
        for connection in (first, second):
            pool.putconn(connection)
        assert len(pool.at_hand) == 2
    assert first.closed
    assert second.closed
