"""Checks of what people choose as user names and passwords."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from accounts.hashers import MAX_PASSWORD_LENGTH


class MaximumLengthValidator:
    """Refuses passwords that would only cost time to hash."""

    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > MAX_PASSWORD_LENGTH:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        return f"A password has at most {MAX_PASSWORD_LENGTH:,} characters."
