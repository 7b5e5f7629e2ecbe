"""Managed endpoints, their keys, and what is known of their health."""

from __future__ import annotations

from devices.models.credential import DeviceCredential
from devices.models.device import Device, validate_mac_address
from devices.models.event import DeviceEvent
from devices.models.health import HealthCheck, StatusChange
from devices.models.rollup import HealthRollup, RollupProgress, SiteMinute

__all__ = [
    "Device",
    "DeviceCredential",
    "DeviceEvent",
    "HealthCheck",
    "HealthRollup",
    "RollupProgress",
    "SiteMinute",
    "StatusChange",
    "validate_mac_address",
]
