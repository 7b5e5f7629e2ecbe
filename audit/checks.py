"""What `manage.py check --database default` and every migrate say about the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.db import connections

from audit import triggers


def check_triggers(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where rows could be changed. No error: that would stop the migrate that helps."""
    return [
        Warning(
            f"The audit log of the database {alias!r} can be changed: {', '.join(absent)} "
            "is missing, switched off or altered.",
            hint="Run `manage.py migrate`, which makes the triggers again.",
            id="audit.W001",
        )
        for alias in databases or []
        if (absent := triggers.missing(connections[alias]))
    ]
