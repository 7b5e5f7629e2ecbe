"""The secret key of a development machine, made by the first command that needs it."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import get_random_string

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
# Beginnings of the keys that examples and tutorials use.
KNOWN_BEGINNINGS = ("change", "secret", "example", "your-", "dev-", "test", "homepot")


def make_secret_key(env_file: Path) -> str:
    """Append a random SECRET_KEY to `env_file`, readable by its owner only, and return it."""
    key = get_random_string(64, ALPHABET)
    try:
        descriptor = os.open(env_file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            text = file.read()
            line_break = "\n" if text and not text.endswith("\n") else ""
            file.write(f"{line_break}SECRET_KEY={key}\n")
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
