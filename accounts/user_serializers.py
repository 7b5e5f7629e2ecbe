"""JSON shapes of accounts, as admins see them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers

from accounts.enums import Role
from accounts.models import User
from homepot.fields import StrictModelSerializer
from homepot.text import validate_name


class SiteIdsField(serializers.ListField):
    """The text ids of sites; shown by the view, in one statement for all rows."""

    row_source = None


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
    password = serializers.CharField(
        write_only=True,
        required=False,
        trim_whitespace=False,
        help_text="A one-time password: the account can only change it.",
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
            "api_key_expires_at",
            "last_login",
            "created_at",
            "updated_at",
        ]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "password" in attrs:
            names = {name: attrs.get(name, "") for name in ("username", "email", "full_name")}
            try:
                validate_password(attrs["password"], User(**names))
            except DjangoValidationError as error:
                raise serializers.ValidationError({"password": error.messages}) from error
        return attrs


class RoleSerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=Role.choices)
