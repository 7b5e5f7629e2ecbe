"""Sites as most programs create them, told without a serializer, which takes far longer.

What is known here is refused by nothing but the state of the database; all else is for the
serializer, which also finds the words for what is wrong.
"""

from __future__ import annotations

import re
from typing import Any

from homepot.identifiers import IDENTIFIER_PATTERN
from sites.models import Site, known_timezones

# What is known here, and how long it may be.
NAMES = frozenset({"site_id", "name", "location", "timezone"})
LIMITS: dict[str, Any] = {
    field.name: field.max_length for field in Site._meta.concrete_fields if field.name in NAMES
}
SITE_ID = re.compile(IDENTIFIER_PATTERN)


def usual_site(data: Any) -> dict[str, Any] | None:
    """What SiteSerializer makes of the parsed body `data`; None when it has to be asked."""
    is_usual = (
        isinstance(data, dict)
        and data.keys() <= LIMITS.keys()
        and all(_is_plain(value, LIMITS[name]) for name, value in data.items())
        and data.get("name")
        and ("site_id" not in data or SITE_ID.fullmatch(data["site_id"]))
        and ("timezone" not in data or data["timezone"] in known_timezones())
    )
    return data if is_usual else None


def _is_plain(value: Any, limit: int) -> bool:
    """Whether `value` is text that nothing is cut from, or refused in."""
    return (
        isinstance(value, str)
        and len(value) <= limit
        and value.isprintable()
        and value == value.strip()
    )
