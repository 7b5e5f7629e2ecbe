"""How the OpenAPI document describes signing in."""

from __future__ import annotations

from typing import Any

from drf_spectacular import authentication
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from accounts.authentication import API_KEY_HEADER


class SessionScheme(authentication.SessionScheme):
    target_class = "accounts.authentication.SessionAuthentication"


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": API_KEY_HEADER}
