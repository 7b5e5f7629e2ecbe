"""Databases besides the one of the settings, for as long as they are needed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from homepot.database import database_options


@contextmanager
def database(url: str) -> Iterator[Any]:
    """An open connection of Django to the database at `url`; `connections` knows its alias.

    Raises ImproperlyConfigured when there is no such URL, and OperationalError.
    """
    with connected(options_of(url)) as connection:
        yield connection


def options_of(url: str) -> dict[str, Any]:
    """Django's options for the database at `url`, for a command. Raises ImproperlyConfigured."""
    return database_options(
        url, base_dir=settings.BASE_DIR, pool_size=1, max_overflow=0, is_web_process=False
    )


@contextmanager
def connected(options: dict[str, Any]) -> Iterator[Any]:
    """The same for options that are at hand."""
    alias = f"other_{secrets.token_hex(4)}"
    configured = connections.configure_settings({DEFAULT_DB_ALIAS: {}, alias: deepcopy(options)})
    connections.settings[alias] = configured[alias]
    try:
        connections[alias].connect()
        yield connections[alias]
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]
