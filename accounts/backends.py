"""How a username and password become an account."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.hashers import MAX_PASSWORD_LENGTH
from accounts.models import User


class PasswordBackend(ModelBackend):
    """Django's, but a password that is too long is refused before it costs anything."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if password is not None and len(password) > MAX_PASSWORD_LENGTH:
            return None
        return super().authenticate(request, username=username, password=password, **kwargs)
