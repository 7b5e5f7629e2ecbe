"""What a web process does before its first request, so that no caller waits for it."""

from __future__ import annotations

import sys

from django.db import OperationalError, connection
from django.urls import resolve

from homepot.pulse import start_pulse


def warm_up() -> None:
    """Reach the database, load every URL and start the pulse.

    Ends the process when the database cannot be reached.
    """
    try:
        connection.ensure_connection()
    except OperationalError as error:
        sys.exit(f"homepot: {error}")
    connection.close()
    resolve("/")
    start_pulse()
