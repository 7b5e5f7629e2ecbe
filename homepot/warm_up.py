"""What a web process does before its first request, so that no caller waits for it."""

from __future__ import annotations

import sys

from django.db import OperationalError, connection
from django.urls import resolve


def warm_up() -> None:
    """Load every URL and reach the database; ends the process when that fails."""
    try:
        connection.ensure_connection()
    except OperationalError as error:
        sys.exit(f"homepot: {error}")
    connection.close()
    resolve("/")
