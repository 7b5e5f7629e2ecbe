"""What devices say of themselves, kept within what both databases hold.

Usual reports, which nearly all are, msgspec reads and checks in one go. Whatever it refuses is
read again field by field, which forgives more and says what is wrong: see `field_reader.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.core.validators import validate_ipv46_address
from msgspec import Meta
from rest_framework.exceptions import ParseError, ValidationError

from devices.field_reader import FieldReader, read_time
from devices.models.device import validate_mac_address
from homepot.models import MAX_INTEGER
from homepot.parsers import MAX_DEPTH, checked, loads
from homepot.text import MAX_TEXT_LENGTH

MAX_DEVICE_ID_LENGTH = 100
MAX_BATCH = 1000


class Report(msgspec.Struct):
    """One check of a device, as it told it. Times are aware; None and "" mean not told.

    `read_report` reads the same fields, and forgives what goes beyond these limits.
    """

    is_healthy: bool = True
    response_time_ms: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] | None = None
    status_code: Annotated[int, Meta(ge=100, le=599)] | None = None
    endpoint: Annotated[str, Meta(max_length=200)] | None = None
    response_data: Any = None
    error_message: Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)] | None = None
    firmware_version: Annotated[str, Meta(max_length=50)] | None = None
    config_version: Annotated[str, Meta(max_length=50)] | None = None
    reported_at: datetime | None = None

    def reported_at_by(self, now: datetime) -> datetime | None:
        """`reported_at`, clipped to our clock.

        A device clock that once ran ahead must not make all that follows late.
        """
        return None if self.reported_at is None else min(self.reported_at, now)


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


def read_device_id(data: Any) -> str:
    """The `device_id` in `data`, "" when it is not told; raises ValidationError by field."""
    reader = FieldReader(data)
    # Longer ones are clipped to what is still too long, or they might be another's.
    device_id = reader.text("device_id", MAX_DEVICE_ID_LENGTH + 1)
    reader.finish()
    return device_id


# Bodies of requests


class _Usual(Report, forbid_unknown_fields=True):
    """A report as most devices write it, alone or in a batch.

    Its time is read by us: msgspec rounds what we cut off, and a report that is sent again,
    now in one way and now in the other, would be two.
    """

    device_id: Annotated[str, Meta(max_length=MAX_DEVICE_ID_LENGTH)] | None = None
    reported_at: str | None = None  # type: ignore[assignment]


class _UsualBatch(msgspec.Struct, forbid_unknown_fields=True):
    check_ins: Annotated[list[_Usual], Meta(min_length=1, max_length=MAX_BATCH)]


_alone = msgspec.json.Decoder(_Usual)
_batch = msgspec.json.Decoder(_UsualBatch)
# What is raised for any other body.
UNUSUAL = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ParseError)


def report_in(body: bytes) -> Report:
    """The report that is the body of a check-in.

    Raises what `loads` raises, and ValidationError by field.
    """
    return usual_report(body) or read_report(loads(body))


def usual_report(body: bytes) -> Report | None:
    """`report_in`; None when it has to be read field by field."""
    try:
        [report] = _finished([_alone.decode(body)], body, MAX_DEPTH - 1)
    except UNUSUAL:
        return None
    return report


def reports_in(body: bytes) -> tuple[dict[int, tuple[str, Report]], dict[int, str]]:
    """The reports in the body of a batch, with the device of each; and what is wrong with others.

    Both by index; "" is the device that sends them. Raises what `loads` raises, and
    ValidationError when it is no batch.
    """
    usual = usual_reports(body)
    return _read_batch(loads(body)) if usual is None else (usual, {})


def usual_reports(body: bytes) -> dict[int, tuple[str, Report]] | None:
    """`reports_in`; None when one has to be read field by field."""
    try:
        usual = _finished(_batch.decode(body).check_ins, body, MAX_DEPTH - 3)
    except UNUSUAL:
        return None
    return {index: (each.device_id or "", each) for index, each in enumerate(usual)}


def _finished(reports: list[_Usual], body: bytes, levels_left: int) -> list[_Usual]:
    """`reports` with what msgspec does not look at; raises one of `UNUSUAL`."""
    if rb"\u0000" in body:
        raise ParseError
    for report in reports:
        if report.response_data is not None:
            report.response_data = checked(report.response_data, levels_left)
        report.reported_at = read_time(report.reported_at)  # type: ignore[assignment]
    return reports


def _read_batch(data: Any) -> tuple[dict[int, tuple[str, Report]], dict[int, str]]:
    entries = data.get("check_ins") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_BATCH:
        raise ValidationError({"check_ins": [f"Send 1 to {MAX_BATCH} check-ins."]})
    reports: dict[int, tuple[str, Report]] = {}
    rejected: dict[int, str] = {}
    for index, entry in enumerate(entries):
        try:
            report = read_report(entry)
            reports[index] = (read_device_id(entry), report)
        except ValidationError as error:
            rejected[index] = _in_one_line(error)
    return reports, rejected


def _in_one_line(error: ValidationError) -> str:
    detail: Any = error.detail
    return " ".join(
        f"{name}: {' '.join(str(message) for message in messages)}"
        for name, messages in detail.items()
    )


# Other things that devices tell

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
