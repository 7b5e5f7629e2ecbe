"""What `manage.py check --deploy` says of our own settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.security, deploy=True)
def check_anonymous_read(**kwargs: Any) -> list[CheckMessage]:
    """Warn when sites and their health are open to everybody."""
    if not settings.API_ANONYMOUS_READ:
        return []
    return [
        Warning(
            "API__ANONYMOUS_READ is on: anyone can read the sites and their health.",
            hint="Turn it off unless the data is a demo's.",
            id="homepot.W001",
        )
    ]
