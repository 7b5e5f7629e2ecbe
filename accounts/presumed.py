"""Callers that were let in before, until the statement that answers them says they still are.

Looking somebody up by key or token takes as long as reading what was asked for. So a process
remembers whom it has let in, by the digest alone, and the next time asks for the rows on the
condition that nothing has changed: none come for a key that was revoked a moment ago, or for
somebody who has another role by now. Whoever gets no rows is looked up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from django.db.models import Exists, Q
from knox.crypto import hash_token
from knox.models import AuthToken

from accounts.keys import KEY_USE_NOTED_EVERY, digest_of
from accounts.models import User
from homepot.objects import known_object

MAX_REMEMBERED = 1000
KEY, TOKEN = "key", "token"


class NotConfirmed(Exception):
    """No rows came for somebody who is only presumed: look them up, and ask again."""


class PresumedUser:
    """What decides what somebody may do and see, as it was when they were let in.

    `is_confirmed` turns true with the first rows that came on the condition that it still is.
    """

    __slots__ = (
        "credential",
        "digest",
        "is_active",
        "is_confirmed",
        "must_change_password",
        "pk",
        "role",
        "site_access",
        "username",
    )
    is_authenticated = True
    is_device = False

    def __init__(self, user: Any, credential: str, digest: str) -> None:
        self.pk = user.pk
        self.username = user.username
        self.is_active = user.is_active
        self.must_change_password = user.must_change_password
        self.role = user.role
        self.site_access = user.site_access
        self.credential = credential
        self.digest = digest
        self.is_confirmed = False

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> Self | None:
        """Whose key or token a request brings; None when it was not seen lately."""
        if "HTTP_AUTHORIZATION" not in environ:
            credential, digest = KEY, digest_of(environ.get("HTTP_X_API_KEY", ""))
        elif (token := bearer_token(environ)) is not None:
            credential, digest = TOKEN, hash_token(token)
        else:
            return None
        seen = _remembered.get(digest)
        return None if seen is None else cls(seen, credential, digest)

    def get_username(self) -> str:
        return self.username

    def as_user(self) -> User:
        """Who it is, to change something in their name; raises RuntimeError unless confirmed.

        What nobody asked about them is read once somebody does.
        """
        if not self.is_confirmed:
            raise RuntimeError("No statement asked whether the caller is still who was presumed.")
        return known_object(
            User,
            id=self.pk,
            username=self.username,
            is_active=self.is_active,
            must_change_password=self.must_change_password,
            role=self.role,
            site_access=self.site_access,
        )


def bearer_token(environ: Mapping[str, Any]) -> str | None:
    """The token of `Authorization: Bearer <token>`; None without one."""
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None


def remember(user: User, credential: str, digest: str) -> None:
    """Presume from now on that whoever brings this key or token is `user`."""
    if len(_remembered) >= MAX_REMEMBERED:
        _remembered.clear()
    _remembered[digest] = PresumedUser(user, credential, digest)


def forget(user: PresumedUser) -> None:
    _remembered.pop(user.digest, None)


def is_still(user: Any, now: Any, noted_after: Any) -> Exists:
    """Whether key or token is good at `now`, and its holder who is presumed.

    `user` is a PresumedUser, or its Standing. Nor does it hold when the use of a key was not
    noted since `noted_after`: looking its holder up notes it.
    """
    holder = User.objects.filter(
        pk=user.pk,
        username=user.username,
        is_active=user.is_active,
        must_change_password=user.must_change_password,
        role=user.role,
        site_access=user.site_access,
    )
    if user.credential == TOKEN:
        return Exists(AuthToken.objects.filter(digest=user.digest, expiry__gt=now, user__in=holder))
    is_in_time = Q(api_key_expires_at=None) | Q(api_key_expires_at__gt=now)
    return Exists(
        holder.filter(is_in_time, api_key=user.digest, api_key_last_used_at__gt=noted_after)
    )


def noted_after(now: datetime) -> datetime:
    """Since when the use of a key has to be noted for another use to need no note."""
    return now - KEY_USE_NOTED_EVERY


_remembered: dict[str, PresumedUser] = {}
