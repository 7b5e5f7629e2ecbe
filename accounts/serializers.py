"""JSON shapes of signing in and of one's own account."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.enums import Role
from accounts.fields import (
    CanonicalCharField,
    CanonicalEmailField,
    PasswordField,
    SiteIdsField,
    check_first_password,
    check_new_password,
)
from accounts.models import MAX_SIGN_IN_NAME_LENGTH, User, validate_username
from homepot.fields import StrictModelSerializer, UTCDateTimeField, validate_ahead
from homepot.text import validate_name


class SignUpSerializer(serializers.Serializer):
    username = CanonicalCharField(
        max_length=50, validators=[validate_username], help_text="Stored in lower case."
    )
    email = CanonicalEmailField(max_length=100)
    password = PasswordField(help_text="8 to 4,096 characters.")
    full_name = serializers.CharField(
        max_length=100, required=False, allow_blank=True, validators=[validate_name]
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_first_password(attrs)
        return attrs


class SignInSerializer(serializers.Serializer):
    username = serializers.CharField(
        max_length=MAX_SIGN_IN_NAME_LENGTH,
        required=False,
        help_text="The username or the e-mail address.",
    )
    email = serializers.CharField(
        max_length=MAX_SIGN_IN_NAME_LENGTH, required=False, help_text="The same, by another name."
    )
    password = PasswordField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        name = attrs.get("username") or attrs.get("email")
        if name is None:
            raise serializers.ValidationError(
                {"username": ["Send the username or the e-mail address."]}
            )
        return {"name": name, "password": attrs["password"]}


class TokenSerializer(serializers.Serializer):
    access_token = serializers.CharField(help_text="For `Authorization: Bearer <token>`.")
    expires_in = serializers.IntegerField(help_text="Seconds.")
    username = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)
    is_admin = serializers.BooleanField()
    must_change_password = serializers.BooleanField(
        required=False,
        help_text="Only there when true: all that the token can do is to choose a new password.",
    )


class SignedInSerializer(serializers.Serializer):
    success = serializers.BooleanField()
    message = serializers.CharField()
    data = TokenSerializer()  # type: ignore[assignment]


class OwnAccountSerializer(StrictModelSerializer):
    """The account of the caller."""

    email = CanonicalEmailField(max_length=100)
    full_name = serializers.CharField(
        max_length=100, required=False, allow_blank=True, validators=[validate_name]
    )
    site_ids = SiteIdsField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = User
        fields = [
            "id",
            "username",
            "email",
            "full_name",
            "role",
            "is_admin",
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
        ]
        read_only_fields = [name for name in fields if name not in ("email", "full_name")]


class OwnPasswordSerializer(serializers.Serializer):
    current_password = PasswordField()
    new_password = PasswordField(help_text="8 to 4,096 characters.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_new_password("new_password", attrs["new_password"], self.context["request"].user)
        return attrs


class ApiKeySerializer(serializers.Serializer):
    api_key = serializers.CharField(
        read_only=True, help_text="For the header X-API-Key. Shown this once."
    )
    api_key_hint = serializers.CharField(read_only=True)
    expires_at = UTCDateTimeField(
        required=False,
        allow_null=True,
        default=None,
        validators=[validate_ahead],
        help_text="Null: until it is revoked.",
    )
