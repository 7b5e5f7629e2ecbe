"""What devices say of themselves, read leniently and kept within what both databases hold.

Unknown fields are ignored, null means absent, over-long text is clipped; a value of another
kind is refused by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.fields import BooleanField

from homepot.fields import UTCDateTimeField
from homepot.models import MAX_INTEGER
from homepot.text import MAX_TEXT_LENGTH

_time_field = UTCDateTimeField()


@dataclass(frozen=True, slots=True)
class Report:
    """One check of a device, as it told it. Times are aware; None and "" mean not told."""

    is_healthy: bool = True
    response_time_ms: int | None = None
    status_code: int | None = None
    endpoint: str = ""
    response_data: Any = None
    error_message: str = ""
    firmware_version: str = ""
    config_version: str = ""
    reported_at: datetime | None = None


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
        value = self.data.get(name)
        if value is None:
            return None
        try:
            return _time_field.to_internal_value(value)
        except ValidationError as error:
            return self._refuse(name, str(error.detail[0]), None)  # type: ignore[index]

    def _refuse(self, name: str, message: str, instead: Any) -> Any:
        self.errors[name] = [message]
        return instead


def read_report(data: Any) -> Report:
    """The report in `data`, a parsed JSON object; raises ValidationError by field."""
    reader = FieldReader(data)
    report = Report(
        is_healthy=reader.boolean("is_healthy", True),
        response_time_ms=reader.integer("response_time_ms", 0, MAX_INTEGER),
        status_code=reader.integer("status_code", 100, 599),
        endpoint=reader.text("endpoint", 200),
        response_data=data.get("response_data"),
        error_message=reader.text("error_message", MAX_TEXT_LENGTH),
        firmware_version=reader.text("firmware_version", 50),
        config_version=reader.text("config_version", 50),
        reported_at=reader.time("reported_at"),
    )
    reader.finish()
    return report
