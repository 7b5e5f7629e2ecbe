"""JSON shapes of accounts, as admins see them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.enums import Role
from accounts.fields import PasswordField, SiteIdsField, check_first_password
from accounts.models import User
from homepot.fields import ChoiceField, StrictModelSerializer
from homepot.text import validate_name


class UserSerializer(StrictModelSerializer):
    """An account, as admins see it."""

    username = serializers.CharField(
        max_length=50, help_text="Stored in lower case; never changes."
    )
    email = serializers.EmailField(max_length=100)
    full_name = serializers.CharField(
        max_length=100, required=False, allow_blank=True, validators=[validate_name]
    )
    site_ids = SiteIdsField(
        child=serializers.CharField(max_length=50),
        required=False,
        max_length=10_000,
        help_text="What an account with site_access `selected` may see.",
    )
    password = PasswordField(
        required=False, help_text="A one-time password: the account can only change it."
    )
    create_only = ("username", "role", "password")

    class Meta:
        model = User
        fields = [
            "id",
            "username",
            "email",
            "full_name",
            "role",
            "is_admin",
            "is_active",
            "site_access",
            "site_ids",
            "must_change_password",
            "api_key_hint",
            "api_key_created_at",
            "api_key_last_used_at",
            "api_key_expires_at",
            "last_login",
            "created_at",
            "updated_at",
            "password",
        ]
        read_only_fields = [
            "is_admin",
            "must_change_password",
            "api_key_hint",
            "api_key_created_at",
            "api_key_last_used_at",
            "api_key_expires_at",
            "last_login",
            "created_at",
            "updated_at",
        ]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "password" in attrs:
            check_first_password(attrs)
        return attrs


class RoleSerializer(serializers.Serializer):
    role = ChoiceField(choices=Role.choices)
