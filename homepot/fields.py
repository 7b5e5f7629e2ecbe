"""Serializer fields with the checks that neither database makes alike."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn

from django.db import models
from django.utils import timezone
from rest_framework import serializers
from rest_framework.utils.serializer_helpers import BindingDict

EARLIEST_YEAR = 2000
LATEST_YEAR = 2199
# Of what was sent, so much is repeated.
SHOWN_LENGTH = 50


class UTCDateTimeField(serializers.DateTimeField):
    """An ISO 8601 time with an offset, in the years 2000-2199; kept and shown in UTC."""

    default_error_messages = {
        "no_offset": "Say the offset of the time: 2026-01-31T08:00:00Z.",
        "out_of_range": f"The time must lie in the years {EARLIEST_YEAR}-{LATEST_YEAR}.",
    }

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            self.fail("no_offset")
        # The year first: far away, the conversion itself overflows.
        if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
            self.fail("out_of_range")
        value = value.astimezone(UTC)
        if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
            self.fail("out_of_range")
        return value


def validate_ahead(time: datetime) -> None:
    """Raise ValidationError unless `time` is still to come."""
    if time <= timezone.now():
        raise serializers.ValidationError("This time is over.")


class FiniteFloatField(serializers.FloatField):
    """A number; true, "nan" and "inf", of which Python would make one, are not."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class ChoiceField(serializers.ChoiceField):
    """One of some words; what is none of them is refused by naming them."""

    def fail(self, key: str, **told: Any) -> NoReturn:
        if key == "invalid_choice":
            raise serializers.ValidationError(not_among(told["input"], self.choices), code=key)
        super().fail(key, **told)


def not_among(value: Any, choices: Iterable[Any]) -> str:
    """What is said to `value`, which is none of `choices`."""
    return f'"{str(value)[:SHOWN_LENGTH]}" is none of {", ".join(map(str, choices))}.'


class JSONObjectField(serializers.JSONField):
    """A JSON object, of whatever keys."""

    default_error_messages = {"not_an_object": "Send a JSON object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value = super().to_internal_value(data)
        if not isinstance(value, dict):
            self.fail("not_an_object")
        return value


_made = threading.local()


def validated(serializer: Any) -> dict[str, Any]:
    """What `serializer`, which is of no further use then, makes of its data.

    Its fields and validators are those that this thread made for the one of its class before: to
    make them takes several times as long as to check a body. Raises ValidationError by field.
    """
    kept: dict[Any, tuple[BindingDict, list[Any]]] = _made.__dict__
    made = kept.pop(type(serializer), None) or (serializer.fields, serializer.validators)
    fields, serializer.validators = made
    vars(serializer)["fields"] = fields
    _bind(fields, serializer)
    try:
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data
    finally:
        _bind(fields, None)  # which would keep the request
        kept[type(serializer)] = made


def _bind(fields: Any, serializer: Any) -> None:
    fields.serializer = serializer
    for field in fields.values():
        field.parent = serializer


class StrictModelSerializer(serializers.ModelSerializer):
    """A ModelSerializer with these fields.

    `create_only` names fields that a later write may repeat but not change.
    """

    create_only: tuple[str, ...] = ()

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: UTCDateTimeField,
        models.FloatField: FiniteFloatField,
    }
    serializer_choice_field = ChoiceField

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if self.instance is not None:
            for name in self.create_only:
                field = self.fields[name]
                if field.source in attrs and attrs.pop(field.source) != field.get_attribute(
                    self.instance
                ):
                    raise serializers.ValidationError({name: ["This cannot be changed."]})
        return attrs
