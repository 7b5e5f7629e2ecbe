"""What devices say of themselves, read leniently and kept within what both databases hold.

Unknown fields are ignored, null and unusable times mean absent, over-long text is clipped; any
other value of another kind is refused by field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import validate_ipv46_address
from rest_framework.exceptions import ValidationError
from rest_framework.fields import BooleanField

from devices.models.device import validate_mac_address
from homepot.fields import UTCDateTimeField
from homepot.models import MAX_INTEGER
from homepot.text import MAX_TEXT_LENGTH

MAX_DEVICE_ID_LENGTH = 100
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

    def reported_at_by(self, now: datetime) -> datetime | None:
        """`reported_at`, clipped to our clock.

        A device clock that once ran ahead must not make all that follows late.
        """
        return None if self.reported_at is None else min(self.reported_at, now)


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
        """None also for what is no time, has no offset or lies far off.

        A till whose clock lost its battery must not fall silent for it.
        """
        value: Any = self.data.get(name)
        if value is None:
            return None
        try:
            return _time_field.to_internal_value(value)
        except ValidationError:
            return None

    def check(self, name: str, value: str, validate: Callable[[str], None]) -> None:
        """Note what `validate` raises about `value`."""
        try:
            validate(value)
        except DjangoValidationError as error:
            self.errors[name] = error.messages

    def _refuse(self, name: str, message: str, instead: Any) -> Any:
        self.errors[name] = [message]
        return instead


def read_device_id(data: Any) -> str:
    """The `device_id` in `data`, "" when it is not told; raises ValidationError by field."""
    reader = FieldReader(data)
    # Longer ones are clipped to what is still too long, or they might be another's.
    device_id = reader.text("device_id", MAX_DEVICE_ID_LENGTH + 1)
    reader.finish()
    return device_id


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


# Above these a sample of telemetry counts as unhealthy.
BUSY_PERCENT = 90
SLOW_MS = 200


def read_telemetry(data: Any) -> Report:
    """A sample of load as a report; raises ValidationError by field."""
    reader = FieldReader(data)
    loads = {
        name: reader.number(name, 0, 100) for name in ("cpu_usage", "memory_usage", "disk_usage")
    }
    latency_ms = reader.number("network_latency_ms", 0, MAX_INTEGER)
    sample = {
        **loads,
        "network_latency_ms": latency_ms,
        "uptime_seconds": reader.number("uptime_seconds", 0, 2**53),
    }
    reported_at = reader.time("timestamp")
    reader.finish()
    problems = [
        f"{name} {value:g} %"
        for name, value in loads.items()
        if value is not None and value > BUSY_PERCENT
    ]
    if latency_ms is not None and latency_ms > SLOW_MS:
        problems.append(f"network_latency_ms {latency_ms:g}")
    return Report(
        is_healthy=not problems,
        response_time_ms=None if latency_ms is None else round(latency_ms),
        response_data={name: value for name, value in sample.items() if value is not None},
        error_message="Too high: " + ", ".join(problems) + "." if problems else "",
        reported_at=reported_at,
    )


def read_facts(data: Any) -> dict[str, Any]:
    """The columns of a device that its "DNA" tells; raises ValidationError by field."""
    reader = FieldReader(data)
    facts: dict[str, Any] = {}
    if mac_address := reader.text("mac_address", 17).lower().replace("-", ":"):
        reader.check("mac_address", mac_address, validate_mac_address)
        facts["mac_address"] = mac_address
    addresses = {name: reader.text(name, 45) for name in ("local_ip", "wan_ip")}
    for name, address in addresses.items():
        if address:
            reader.check(name, address, validate_ipv46_address)
    if addresses["local_ip"]:
        facts["ip_address"] = addresses["local_ip"]
    if firmware_version := reader.text("firmware_version", 50):
        facts["firmware_version"] = firmware_version
    details = {
        "os": data.get("os_details"),
        "wan_ip": addresses["wan_ip"] or None,
        "peripherals": data.get("peripherals"),
    }
    if told := {name: value for name, value in details.items() if value is not None}:
        facts["os_details"] = told
    reader.finish()
    return facts
