"""What a web process does before its first request, so that no caller waits for it."""

from __future__ import annotations

from django.db import connection

from homepot.outages import database_outages
from homepot.pulse import start_pulse


def warm_up() -> None:
    """Fill the pool and start the pulse.

    `serve` has seen that the database is there. When it is away by now, or while a process
    that died is replaced, requests are told so until it is back.
    """
    with database_outages.tolerate():
        connection.ensure_connection()
    connection.close()
    start_pulse()
