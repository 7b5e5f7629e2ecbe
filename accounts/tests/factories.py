"""Valid accounts, saved directly."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.utils import timezone
from knox.models import AuthToken

from accounts.enums import Role
from accounts.keys import USER_KEY_PREFIX, make_key
from accounts.models import User

numbers = count(1)


def make_user(*, role: Role = Role.VIEWER, password: str | None = None, **fields: Any) -> User:
    """An account without a usable password, because hashing one takes its time."""
    number = next(numbers)
    user = User(
        **{"username": f"user-{number}", "email": f"user-{number}@example.com"} | fields,
        role=role,
    )
    user.set_password(password)
    user.save()
    return user


def make_api_key(user: User) -> str:
    """Give `user` an API key, whose use was just noted, and return it."""
    new = make_key(USER_KEY_PREFIX)
    user.api_key, user.api_key_hint = new.digest, new.hint
    user.api_key_created_at = user.api_key_last_used_at = timezone.now()
    user.save(
        update_fields=["api_key", "api_key_hint", "api_key_created_at", "api_key_last_used_at"]
    )
    return new.key


def make_token(user: User) -> str:
    """Give `user` a token as signing in would and return it."""
    return str(AuthToken.objects.create(user=user)[1])
