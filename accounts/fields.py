"""Serializer fields and checks that several serializers of accounts share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers

from accounts.models import User, canonical


class CanonicalCharField(serializers.CharField):
    """Text that is canonical before its length and form are checked."""

    def to_internal_value(self, data: Any) -> str:
        return canonical(super().to_internal_value(data))


class CanonicalEmailField(CanonicalCharField, serializers.EmailField):
    pass


class PasswordField(serializers.CharField):
    """A password, to the last blank what was typed; a number is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(write_only=True, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class SiteIdsField(serializers.ListField):
    """The text ids of sites; shown by the view, in one statement for all rows."""

    row_source = None


def check_new_password(field: str, password: str, user: User) -> None:
    """Raise ValidationError, of `field`, when `user` should not choose `password`."""
    try:
        validate_password(password, user)
    except DjangoValidationError as error:
        raise serializers.ValidationError({field: error.messages}) from error


def check_first_password(account: Mapping[str, Any]) -> None:
    """`check_new_password` for the `password` of an account that is not there yet."""
    names = {name: account.get(name, "") for name in ("username", "email", "full_name")}
    check_new_password("password", account["password"], User(**names))
