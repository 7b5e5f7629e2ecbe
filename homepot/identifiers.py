"""Text identifiers such as "site-001" and "job-1a2b3c4d"."""

from __future__ import annotations

import secrets

from django.core.validators import RegexValidator

IDENTIFIER_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*"

validate_identifier = RegexValidator(
    rf"^{IDENTIFIER_PATTERN}\Z",
    "Use letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
)


def make_identifier(prefix: str) -> str:
    """A random identifier such as "job-1a2b3c4d5e"."""
    return f"{prefix}-{secrets.token_hex(5)}"
