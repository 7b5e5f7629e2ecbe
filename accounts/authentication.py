"""How callers of the API say who they are."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts import services
from accounts.keys import digest_of
from accounts.models import User

API_KEY_HEADER = "X-API-Key"


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
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != self.scheme.lower():
            return None
        token = (
            AuthToken.objects.select_related("user")
            .filter(digest=hash_token(credentials.strip()))
            .filter(expiry__gt=timezone.now(), user__is_active=True)
            .first()
        )
        if token is None:
            raise exceptions.AuthenticationFailed(
                "The token is unknown, expired or revoked; sign in again."
            )
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return f'{self.scheme} realm="api"'


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """A user's key in X-API-Key. One statement: the digest is looked up, not the key.

    One more when its use is to be noted.
    """

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        key = request.headers.get(API_KEY_HEADER)
        if key is None:
            return None
        now = timezone.now()
        user = (
            User.objects.filter(api_key=digest_of(key), is_active=True)
            .filter(Q(api_key_expires_at=None) | Q(api_key_expires_at__gt=now))
            .first()
        )
        if user is None:
            raise exceptions.AuthenticationFailed("The API key is unknown, expired or revoked.")
        services.note_api_key_use(user, now)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        # The scheme of a 401's WWW-Authenticate; the key itself goes in its own header.
        return f'ApiKey realm="api", header="{API_KEY_HEADER}"'
