"""The machine that the agent looks after. It is simulated: nothing here touches the real one
but to read its load.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIRST_FIRMWARE_VERSION = "1.0.0"
# Above these the machine calls itself unhealthy.
FULL_DISK_PERCENT = 95.0
FULL_MEMORY_PERCENT = 95.0


@dataclass(frozen=True)
class Health:
    """One look at the machine; `error_message` is "" when it is well."""

    loads: Mapping[str, float] = field(default_factory=dict)
    response_time_ms: int | None = None
    error_message: str = ""

    @property
    def is_healthy(self) -> bool:
        return not self.error_message


class Machine:
    """Versions and permissions, kept by `save`, and the machine's health."""

    def __init__(
        self,
        stored: Mapping[str, Any] | None = None,
        *,
        grants: frozenset[str] = frozenset(),
        save: Callable[[dict[str, Any]], None] = lambda stored: None,
    ) -> None:
        """`grants`: the permissions that the machine's owner gives when asked."""
        stored = stored or {}
        self.firmware_version = str(stored.get("firmware_version") or FIRST_FIRMWARE_VERSION)
        self.config_version = str(stored.get("config_version") or "")
        self.permissions: dict[str, bool] = dict(stored.get("permissions") or {})
        # Permissions the server has not heard of yet.
        self.has_untold_permissions = bool(stored.get("has_untold_permissions"))
        self.grants = grants
        self.started_at = time.monotonic()
        self._save = save

    def change(self, **fields: Any) -> None:
        """Set `fields` and keep them."""
        for name, value in fields.items():
            setattr(self, name, value)
        self._save(
            {
                "firmware_version": self.firmware_version,
                "config_version": self.config_version,
                "permissions": self.permissions,
                "has_untold_permissions": self.has_untold_permissions,
            }
        )

    def restart(self) -> None:
        self.started_at = time.monotonic()

    @property
    def uptime_seconds(self) -> int:
        return round(time.monotonic() - self.started_at)

    def read_health(self) -> Health:
        """What the real machine's load is; what cannot be read is left out."""
        try:
            return self._read_loads()
        except OSError as error:
            return Health(error_message=f"Cannot read the load: {error}.")

    def _read_loads(self) -> Health:
        disk = shutil.disk_usage("/")
        loads = {"disk_usage": 100 * disk.used / disk.total}
        cores = os.cpu_count() or 1
        loads["cpu_usage"] = min(100.0, 100 * os.getloadavg()[0] / cores)
        if memory := _memory_percent():
            loads["memory_usage"] = memory
        problems = [
            f"{name} {loads[name]:.0f} %"
            for name, limit in (
                ("disk_usage", FULL_DISK_PERCENT),
                ("memory_usage", FULL_MEMORY_PERCENT),
            )
            if loads.get(name, 0) > limit
        ]
        return Health(
            loads={name: round(value, 1) for name, value in loads.items()},
            error_message=f"Nearly full: {', '.join(problems)}." if problems else "",
        )


def _memory_percent() -> float | None:
    """Linux tells it in a file; elsewhere None."""
    path = Path("/proc/meminfo")
    if not path.exists():
        return None
    lines = (line.split() for line in path.read_text().splitlines())
    kilobytes = {words[0]: int(words[1]) for words in lines if len(words) > 1}
    if "MemTotal:" not in kilobytes or "MemAvailable:" not in kilobytes:
        return None
    return 100 * (1 - kilobytes["MemAvailable:"] / kilobytes["MemTotal:"])
