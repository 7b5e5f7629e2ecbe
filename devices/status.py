"""How a device is: derived from facts and the time, never set by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.enums import DeviceStatus

# A device is silent after this many of the intervals it was told.
PATIENCE = 2.5
SILENT_REASON = "No check-in in time."


@dataclass(frozen=True)
class DerivedStatus:
    """`due_at` is when time alone will change `status`; None: never."""

    status: DeviceStatus
    reason: str
    due_at: datetime | None


def derive_status(
    *,
    last_seen: datetime | None,
    is_healthy: bool | None,
    error_message: str = "",
    maintenance_until: datetime | None,
    interval: timedelta,
    now: datetime,
) -> DerivedStatus:
    """The status of a device that checked in at `last_seen` (None: never) and said `is_healthy`."""
    if maintenance_until is not None and maintenance_until > now:
        return DerivedStatus(
            DeviceStatus.MAINTENANCE,
            f"In maintenance until {maintenance_until:%Y-%m-%d %H:%M} UTC.",
            maintenance_until,
        )
    if last_seen is None:
        return DerivedStatus(DeviceStatus.UNKNOWN, "No check-in yet.", None)
    silent_at = last_seen + PATIENCE * interval
    if silent_at <= now:
        return DerivedStatus(DeviceStatus.OFFLINE, SILENT_REASON, None)
    if is_healthy is False:
        reason = error_message or "The last check was unhealthy."
        return DerivedStatus(DeviceStatus.ERROR, reason[:500], silent_at)
    return DerivedStatus(DeviceStatus.ONLINE, "Checks in, healthy.", silent_at)
