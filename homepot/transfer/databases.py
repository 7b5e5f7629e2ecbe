"""Databases besides the one of the settings, for as long as they are needed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from homepot.database import database_options


@contextmanager
def database(url: str) -> Iterator[Any]:
    """An open connection of Django to the database at `url`; `connections` knows its alias.

    Raises ImproperlyConfigured when there is no such URL, and OperationalError.
    """
    options = database_options(
        url, base_dir=settings.BASE_DIR, pool_size=1, max_overflow=0, is_web_process=False
    )
    alias = f"other_{secrets.token_hex(4)}"
    configured = connections.configure_settings({DEFAULT_DB_ALIAS: {}, alias: options})
    connections.settings[alias] = configured[alias]
    try:
        connections[alias].connect()
        yield connections[alias]
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]
