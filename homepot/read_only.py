"""Read-only mode (`MAINTENANCE__READ_ONLY`): reads go on, and nothing is written.

Two walls. `ReadOnlyMiddleware` refuses every request that asks for a change and says when to
come again. Behind it the database refuses whatever else would write, in sessions that cannot:
see `read_only_options` in homepot/database.py. What only makes a note of a read leaves it out.
"""

from __future__ import annotations

import sqlite3
from http import HTTPStatus

import psycopg
from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import APIException

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Moving a database takes minutes.
RETRY_AFTER_SECONDS = 30


class ReadOnlyMode(APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "For maintenance, nothing can be changed for some minutes; try again then."
    default_code = "read_only"
    wait = RETRY_AFTER_SECONDS


def is_read_only() -> bool:
    return bool(settings.MAINTENANCE_READ_ONLY)


def asks_for_change(request: HttpRequest) -> bool:
    return request.method not in READING_METHODS


def is_refused_write(error: Exception) -> bool:
    """Whether the database refused to write in a session that only reads."""
    cause = error.__cause__
    return isinstance(cause, psycopg.errors.ReadOnlySqlTransaction) or (
        isinstance(cause, sqlite3.Error)
        # Errors that Python finds by itself have none.
        and getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY
    )
