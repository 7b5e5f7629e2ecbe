"""How callers of the API say who they are."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts import services
from accounts.keys import digest_of
from accounts.models import User
from accounts.presumed import KEY, TOKEN, bearer_token, remember
from homepot.compiled import Asked, Question

API_KEY_HEADER = "X-API-Key"
USER_COLUMNS = [column.attname for column in User._meta.concrete_fields]
TOKEN_COLUMNS = [column.attname for column in AuthToken._meta.concrete_fields]


def _holder_of_key(asked: Asked) -> QuerySet:
    is_in_time = Q(api_key_expires_at=None) | Q(api_key_expires_at__gt=asked.now)
    return User.objects.filter(is_in_time, api_key=asked["digest"], is_active=True)


def _token_and_user(asked: Asked) -> QuerySet:
    tokens = AuthToken.objects.filter(digest=asked["digest"], expiry__gt=asked.now)
    columns = [*TOKEN_COLUMNS, *(f"user__{name}" for name in USER_COLUMNS)]
    return tokens.filter(user__is_active=True).order_by().values_list(*columns)


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session, with the CSRF token in the header X-CSRFToken."""

    def enforce_csrf(self, request: Request) -> None:
        # Or the body would be read as a form, in search of a token, before its own checks.
        request._request.POST = QueryDict()
        super().enforce_csrf(request._request)  # type: ignore[arg-type]


class TokenAuthentication(authentication.BaseAuthentication):
    """A token from signing in, as `Authorization: Bearer <token>`. One statement.

    Knox's own looks tokens up by their beginning, and on every request for others to remove.
    """

    scheme = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, AuthToken] | None:
        given = bearer_token(request.META)
        if given is None:
            return None
        digest = hash_token(given)
        rows = Question(Asked(None, timezone.now(), {"digest": digest}), _token_and_user).rows()
        if not rows:
            raise exceptions.AuthenticationFailed(
                "The token is unknown, expired or revoked; sign in again."
            )
        [row] = rows
        token = AuthToken.from_db("default", TOKEN_COLUMNS, row[: len(TOKEN_COLUMNS)])
        token.user = User.from_db("default", USER_COLUMNS, row[len(TOKEN_COLUMNS) :])
        remember(token.user, TOKEN, digest)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return f'{self.scheme} realm="api"'


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """A user's key in X-API-Key. One statement: the digest is looked up, not the key.

    One more when its use is to be noted.
    """

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        key = request.META.get("HTTP_X_API_KEY")
        if key is None:
            return None
        now = timezone.now()
        digest = digest_of(key)
        user = Question(Asked(None, now, {"digest": digest}), _holder_of_key).first(User)
        if user is None:
            raise exceptions.AuthenticationFailed("The API key is unknown, expired or revoked.")
        services.note_api_key_use(user, now)
        remember(user, KEY, digest)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        # The scheme of a 401's WWW-Authenticate; the key itself goes in its own header.
        return f'ApiKey realm="api", header="{API_KEY_HEADER}"'
