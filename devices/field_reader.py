"""Reads what devices send, leniently, and says by field what cannot be read.

Unknown fields are ignored, null and unusable times mean absent, over-long text is clipped; any
other value of another kind is refused by field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework.exceptions import ValidationError
from rest_framework.fields import BooleanField

from homepot.fields import UTCDateTimeField

_time_field = UTCDateTimeField()


class FieldReader:
    """Reads typed values out of one JSON object and gathers what is wrong by field."""

    def __init__(self, data: Any) -> None:
        if not isinstance(data, Mapping):
            raise ValidationError({"non_field_errors": ["Send a JSON object."]})
        self.data = data
        self.errors: dict[str, list[str]] = {}

    def finish(self) -> None:
        """Raise ValidationError by field when something was wrong."""
        if self.errors:
            raise ValidationError(self.errors)

    def boolean(self, name: str, default: bool) -> bool:
        value = self.data.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if isinstance(value, str | int | float) and value in BooleanField.TRUE_VALUES:
            return True
        if isinstance(value, str | int | float) and value in BooleanField.FALSE_VALUES:
            return False
        return self._refuse(name, "Send true or false.", default)

    def integer(self, name: str, lowest: int, highest: int) -> int | None:
        value = self.number(name, lowest, highest)
        return None if value is None else round(value)

    def number(self, name: str, lowest: float, highest: float) -> float | None:
        value = self.data.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self._refuse(name, "Send a number.", None)
        if not lowest <= value <= highest:
            return self._refuse(name, f"Send a number from {lowest} to {highest}.", None)
        return value

    def text(self, name: str, length: int) -> str:
        value = self.data.get(name)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return self._refuse(name, "Send text.", "")
        return str(value)[:length]

    def time(self, name: str) -> datetime | None:
        """None also for what is no time, see `read_time`."""
        return read_time(self.data.get(name))

    def check(self, name: str, value: str, validate: Callable[[str], None]) -> None:
        """Note what `validate` raises about `value`."""
        try:
            validate(value)
        except DjangoValidationError as error:
            self.errors[name] = error.messages

    def _refuse(self, name: str, message: str, instead: Any) -> Any:
        self.errors[name] = [message]
        return instead


def read_time(value: Any) -> datetime | None:
    """None for what is no time, has no offset or lies far off.

    A till whose clock lost its battery must not fall silent for it.
    """
    if isinstance(value, str):
        with suppress(ValueError):  # the field knows more forms, but takes longer
            value = datetime.fromisoformat(value)
    try:
        return None if value is None else _time_field.to_internal_value(value)
    except ValidationError:
        return None
