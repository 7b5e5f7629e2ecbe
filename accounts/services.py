"""Everything that changes accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.keys import USER_KEY_PREFIX, make_key
from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent


@transaction.atomic
def create_user(
    *,
    username: str,
    email: str,
    password: str | None,
    actor: User | None,
    **fields: Any,
) -> User:
    """Open an account; raises ValidationError by field for what is wrong with it."""
    user = User.objects.create_user(username, email, password, **fields)
    audit.record(
        event=AuditEvent.USER_CREATED,
        actor=actor,
        target=user,
        changes={"username": (None, user.username), "role": (None, user.role)},
    )
    return user


@transaction.atomic
def create_api_key(*, user: User, actor: User | None, expires_at: datetime | None = None) -> str:
    """Give `user` a new API key, which ends the one before, and return it.

    This is the only time it can be seen: the database keeps its digest.
    """
    new = make_key(USER_KEY_PREFIX)
    old_hint = user.api_key_hint
    User.objects.filter(pk=user.pk).update(
        api_key=new.digest,
        api_key_hint=new.hint,
        api_key_expires_at=expires_at,
        updated_at=timezone.now(),
    )
    user.refresh_from_db()
    audit.record(
        event=AuditEvent.API_KEY_CREATED,
        actor=actor,
        target=user,
        changes={"api_key_hint": (old_hint, new.hint)},
    )
    return new.key
