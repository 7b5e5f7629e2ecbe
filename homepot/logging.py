"""Where log lines go and how they look."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from homepot.request_context import current_request

FIELDS = "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s"
FORMATTERS = {
    "text": {"format": "%(asctime)s %(levelname)-7s %(name)s [%(request_id)s] %(message)s"},
    "json": {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "format": FIELDS,
        "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
    },
}


class RequestIdFilter(logging.Filter):
    """Gives every record the id of the request it belongs to, `-` outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        # What Django says of an answer comes after the middleware; it brings the request along.
        told = getattr(getattr(record, "request", None), "context", None)
        request = current_request.get() or told
        record.request_id = request.request_id if request else "-"
        return True


def logging_options(*, level: str, format: str, echo_sql: bool) -> dict[str, Any]:
    """The LOGGING setting: one stream, standard error, as `text` or one JSON line a record."""
    if format not in FORMATTERS:
        raise ImproperlyConfigured(f"LOGGING__FORMAT is {format!r}; it must be text or json.")
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ImproperlyConfigured(
            f"LOGGING__LEVEL is {level!r}; it must be DEBUG, INFO, WARNING, ERROR or CRITICAL."
        )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "homepot.logging.RequestIdFilter"}},
        "formatters": {"chosen": FORMATTERS[format]},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "filters": ["request_id"],
                "formatter": "chosen",
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Its own handlers would write every line twice.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            # A line for each run of a sweep, and a warning when one takes longer than usual.
            "apscheduler": {"level": "ERROR"},
            # One for each attempt to reconnect; homepot/outages.py tells of an outage once.
            "psycopg.pool": {"level": "ERROR"},
            # Statements are logged at DEBUG; without being asked for they stay out.
            "django.db.backends": {"level": "DEBUG" if echo_sql else "INFO"},
        },
    }
