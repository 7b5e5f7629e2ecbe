"""The REST API of signing up, in and out, and of one's own account."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, logout, update_session_auth_hash
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from knox.models import AuthToken
from knox.settings import knox_settings
from rest_framework import status
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import lockout, services, sign_in
from accounts.authentication import TokenAuthentication
from accounts.errors import NothingToSignOutError, WrongPasswordError
from accounts.keys import HINT_LENGTH
from accounts.models import User
from accounts.policy import Action
from accounts.serializers import (
    ApiKeySerializer,
    OwnAccountSerializer,
    OwnPasswordSerializer,
    SignedInSerializer,
    SignInSerializer,
    SignUpSerializer,
)
from accounts.throttles import RouteThrottle
from accounts.user_views import fill_site_ids
from homepot.compiled import Asked
from homepot.viewsets import StrictViewSet

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOTHING = OpenApiResponse(description="Done.")


class _ForAnyone(StrictViewSet):
    """A route that needs no credentials, and is not kept from anyone by stale ones."""

    authentication_classes: list[type] = []
    access = dict.fromkeys(METHODS, Action.ANYONE)
    throttle_classes = [RouteThrottle]

    def get_authenticate_header(self, request: Request) -> str:
        # REST framework would make a 401 without it a 403.
        return TokenAuthentication().authenticate_header(request)


class _ForOneself(StrictViewSet):
    """A route about the caller's own account, whatever its role."""

    access = dict.fromkeys(METHODS, Action.USE_ACCOUNT)

    @property
    def token(self) -> AuthToken | None:
        """The token that the caller came with, if it was a token."""
        return self.request.auth if isinstance(self.request.auth, AuthToken) else None

    @property
    def has_session(self) -> bool:
        """Whether the caller came with a session."""
        return isinstance(self.request.successful_authenticator, SessionAuthentication)


class SignUpView(_ForAnyone):
    """Open an account. It has no role, and so no access, until an admin gives it one."""

    serializer_class = SignUpSerializer
    throttle_scope = "signup"

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        if settings.AUTH_SIGNUP == "closed":
            raise PermissionDenied("Ask an admin for an account.", code="signup_closed")

    @extend_schema(operation_id="auth_signup", responses={201: SignedInSerializer})
    def create(self, request: Request) -> Response:
        user, token = sign_in.sign_up(**self.checked(self.body(request)))
        message = "The account is open. An admin has to give it a role."
        return Response(signed_in(user, token, message), status=status.HTTP_201_CREATED)


class SignInView(_ForAnyone):
    """Trade a username or e-mail address and a password for a token."""

    serializer_class = SignInSerializer
    throttle_scope = "login"

    @extend_schema(operation_id="auth_login", responses={200: SignedInSerializer})
    def create(self, request: Request) -> Response:
        given = self.checked(self.body(request))
        http_request = request._request
        user: Any = authenticate(http_request, username=given["name"], password=given["password"])
        if user is None:
            raise AuthenticationFailed(
                "The name or the password is wrong.", code="invalid_credentials"
            )
        token = sign_in.sign_in(user=user, address=lockout.counted_address(http_request))
        return Response(signed_in(user, token, "Signed in."))


class SignOutView(_ForOneself):
    """End the token or the session that the caller came with."""

    @extend_schema(operation_id="auth_logout", request=None, responses={204: NOTHING})
    def create(self, request: Request) -> Response:
        if self.token:
            sign_in.sign_out(user=self.actor, token=self.token)
        elif self.has_session:
            # Its signal writes the audit row.
            with transaction.atomic():
                logout(request._request)
        else:
            raise NothingToSignOutError(
                "An API key does not sign in; DELETE /api/v1/auth/me/api-key ends it."
            )
        return Response(status=status.HTTP_204_NO_CONTENT)


class SignOutEverywhereView(_ForOneself):
    """End every token and every session of the account."""

    @extend_schema(operation_id="auth_logout_all", request=None, responses={204: NOTHING})
    def create(self, request: Request) -> Response:
        sign_in.sign_out_everywhere(user=self.actor, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class OwnAccountView(_ForOneself):
    """The caller's account. What an admin decides about it cannot be changed here."""

    serializer_class = OwnAccountSerializer
    access = {"GET": Action.USE_ACCOUNT, "PATCH": Action.CHANGE_ACCOUNT}

    @classmethod
    def rows(cls, asked: Asked) -> QuerySet:
        return User.objects.visible_to(asked.user)

    @extend_schema(operation_id="auth_me")
    def retrieve(self, request: Request) -> Response:
        return Response(self._row())

    @extend_schema(operation_id="auth_me_update")
    def partial_update(self, request: Request) -> Response:
        fields = self.checked(self.body(request), instance=self.actor, partial=True)
        services.update_user(user=self.actor, actor=self.actor, **fields)
        return Response(self._row())

    def _row(self) -> dict[str, Any]:
        row = self.row_of(pk=self.actor.pk)
        fill_site_ids([row])
        return row


class OwnPasswordView(_ForOneself):
    """Choose another password. Every other token and session of the account ends."""

    serializer_class = OwnPasswordSerializer
    throttle_classes = [RouteThrottle]
    throttle_scope = "password"

    @extend_schema(operation_id="auth_me_password", responses={204: NOTHING})
    def create(self, request: Request) -> Response:
        given = self.checked(self.body(request))
        try:
            services.change_own_password(user=self.actor, kept_token=self.token, **given)
        except WrongPasswordError as error:
            raise ValidationError({"current_password": [str(error)]}) from error
        if self.has_session:
            update_session_auth_hash(request._request, self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class OwnApiKeyView(_ForOneself):
    """The one API key of the account, for its programs."""

    serializer_class = ApiKeySerializer
    access = dict.fromkeys(("POST", "DELETE"), Action.CHANGE_ACCOUNT)
    throttle_classes = [RouteThrottle]
    throttle_scope = "api_key"

    @extend_schema(operation_id="auth_me_api_key_create", responses={201: ApiKeySerializer})
    def create(self, request: Request) -> Response:
        """Make a key, which ends the one before. It is shown this once."""
        expires_at = self.checked(self.body(request))["expires_at"]
        key = services.create_api_key(user=self.actor, actor=self.actor, expires_at=expires_at)
        return Response(
            {"api_key": key, "api_key_hint": key[:HINT_LENGTH], "expires_at": expires_at},
            status=status.HTTP_201_CREATED,
        )

    @extend_schema(operation_id="auth_me_api_key_revoke", responses={204: NOTHING})
    def destroy(self, request: Request) -> Response:
        """End the key."""
        services.revoke_api_key(user=self.actor, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


def signed_in(user: User, token: str, message: str) -> dict[str, Any]:
    """The answer that hands a token over."""
    data = {
        "access_token": token,
        "expires_in": int(knox_settings.TOKEN_TTL.total_seconds()),
        "username": user.username,
        "role": user.role,
        "is_admin": user.is_admin,
    }
    if user.must_change_password:
        data["must_change_password"] = True
        message = "Signed in. Choose another password: POST /api/v1/auth/me/password."
    return {"success": True, "message": message, "data": data}
