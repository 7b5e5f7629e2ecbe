"""The secret key of a development machine, made by the first command that needs it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import get_random_string

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
# Beginnings of the keys that examples and tutorials use.
KNOWN_BEGINNINGS = ("change", "secret", "example", "your-", "dev-", "test", "homepot")
EMPTY_LINE = re.compile(
    r"""^[ \t]*(export[ \t]+)?SECRET_KEY[ \t]*=[ \t]*(""|'')?[ \t]*(\n|\Z)""", re.MULTILINE
)


def make_secret_key(env_file: Path) -> str:
    """Add a random SECRET_KEY to `env_file`, a new one readable by its owner only; return it."""
    key = get_random_string(64, ALPHABET)
    try:
        descriptor = os.open(env_file, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            # Of two lines the first one counts, and an empty one would for ever.
            text = EMPTY_LINE.sub("", file.read())
            line_break = "\n" if text and not text.endswith("\n") else ""
            file.seek(0)
            file.write(f"{text}{line_break}SECRET_KEY={key}\n")
            file.truncate()
    except OSError as error:
        raise ImproperlyConfigured(
            f"SECRET_KEY is not set and {env_file} cannot be written ({error.strerror}). "
            "Set SECRET_KEY in the environment or make the folder writable."
        ) from None
    return key


def check_production_secret(key: str) -> None:
    """Raise ImproperlyConfigured when `key` is missing, short, or one that others know."""
    if not key:
        raise ImproperlyConfigured("SECRET_KEY must be set when ENVIRONMENT is production.")
    is_known = key.startswith("django-insecure-") or key.lower().startswith(KNOWN_BEGINNINGS)
    if is_known or len(key) < 50 or len(set(key)) < 5:
        raise ImproperlyConfigured(
            "SECRET_KEY is a known example or too short. Use 50 random characters or more: "
            'python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
