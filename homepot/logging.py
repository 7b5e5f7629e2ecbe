"""Where log lines go and how they look.

Whatever is logged, by us or by a library, with its stack trace, passes `without_secrets` last.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from homepot.request_context import current_request

# A quotation mark, which has a backslash before it inside of JSON.
_QUOTE = r"""(?:\\?["'])"""
_SECRET_NAMES = (
    r"(?:\w+[_-])?(?:password|passwd|secret|secret_key|token|api[_-]?key|bootstrap_key|sessionid)"
)
# Each keeps what is before and after the secret. None may match a quotation mark or a backslash,
# or a line of JSON would be none afterwards.
SECRETS = [
    # Our keys and tokens, wherever they stand.
    (re.compile(r"\b(hp[a-z]_)[A-Za-z0-9_-]{8,}"), r"\1***"),
    # Authorization: Bearer ..., Basic ..., Token ...
    (re.compile(r"(?i)\b((?:bearer|basic|token) )[A-Za-z0-9._~+/=-]{12,}"), r"\1***"),
    # postgresql://user:password@host; an @ in a password is the last but one.
    (re.compile(r"(://[^\s:/@\\\"']*:)[^\s\\\"']+@"), r"\1***@"),
    # "password": "...", 'X-API-Key': '...'
    (
        re.compile(rf"""(?i)\b({_SECRET_NAMES}{_QUOTE}?\s*[=:]\s*{_QUOTE})[^\\"']+"""),
        r"\1***",
    ),
    # password=..., ?api_key=...
    (re.compile(rf"""(?i)\b({_SECRET_NAMES}=)[^\s\\"'&,;}}]+"""), r"\1***"),
]


def without_secrets(line: str) -> str:
    for pattern, replacement in SECRETS:
        line = pattern.sub(replacement, line)
    return line


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class JsonLineFormatter(JsonFormatter):
    """One object a line: level, logger, request_id, message, what else the record brings, time."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "request_id", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            # An object; its id, path and status are told anyway.
            reserved_attrs=[*RESERVED_ATTRS, "request"],
            timestamp="time",
        )

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class RefusalFilter(logging.Filter):
    """Leaves the stack trace out where a request was refused: nothing of ours went wrong."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            record.exc_info = None
        return True


FORMATTERS: dict[str, dict[str, str]] = {
    "text": {
        "()": "homepot.logging.TextFormatter",
        "fmt": "%(asctime)s %(levelname)-7s %(name)s [%(request_id)s] %(message)s",
    },
    "json": {"()": "homepot.logging.JsonLineFormatter"},
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
        "filters": {
            "request_id": {"()": "homepot.logging.RequestIdFilter"},
            "refusal": {"()": "homepot.logging.RefusalFilter"},
        },
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
            "django.request": {"filters": ["refusal"]},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            # A line for each run of a sweep, and a warning when one takes longer than usual.
            "apscheduler": {"level": "ERROR"},
            # One for each attempt to reconnect; homepot/outages.py tells of an outage once.
            "psycopg.pool": {"level": "ERROR"},
            # Statements are logged at DEBUG; without being asked for they stay out.
            "django.db.backends": {"level": "DEBUG" if echo_sql else "INFO"},
        },
    }
