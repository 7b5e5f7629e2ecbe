"""How pages write the vocabularies of devices."""

from __future__ import annotations

from django.utils.safestring import SafeString

from devices.enums import DeviceStatus, LifecycleState
from devices.models import HealthCheck
from homepot.admin import NOTHING, label

STATUS_COLOURS = {
    DeviceStatus.ONLINE.label: "success",
    DeviceStatus.OFFLINE.label: "warning",
    DeviceStatus.ERROR.label: "danger",
    DeviceStatus.MAINTENANCE.label: "info",
}
# Shapes that differ, for whoever sees no colours.
STATUS_SYMBOLS = {
    DeviceStatus.ONLINE: "check_circle",
    DeviceStatus.OFFLINE: "wifi_off",
    DeviceStatus.ERROR: "error",
    DeviceStatus.MAINTENANCE: "build",
    DeviceStatus.UNKNOWN: "help",
}
LIFECYCLE_COLOURS = {
    LifecycleState.ACTIVE.label: "success",
    LifecycleState.PENDING.label: "info",
    LifecycleState.SUSPENDED.label: "warning",
}
RESULT_COLOURS = {"Healthy": "success", "Unhealthy": "danger"}
RESULT_SYMBOLS = {"Healthy": "check_circle", "Unhealthy": "error"}
SEVERITY_COLOURS = {
    "info": "info",
    "warning": "warning",
    "error": "danger",
    "critical": "danger",
}


def status_label(status: str) -> SafeString:
    known = DeviceStatus(status)
    return label(known.label, STATUS_COLOURS, STATUS_SYMBOLS[known])


def lifecycle_label(state: str) -> SafeString:
    return label(LifecycleState(state).label, LIFECYCLE_COLOURS)


def result_label(check: HealthCheck) -> SafeString:
    word = "Healthy" if check.is_healthy else "Unhealthy"
    return label(word, RESULT_COLOURS, RESULT_SYMBOLS[word])


def severity_label(severity: str) -> SafeString:
    """In whatever words the device chose."""
    return label(severity, SEVERITY_COLOURS) if severity else NOTHING


def milliseconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f} ms"
