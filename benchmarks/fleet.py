"""The fleet to measure on: how many of each there are, and which is which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

DEVICE_KEY_PREFIX = "hpd_"
MOST_SMALL_SITES = 200
SMALL_SITE_DEVICES = 5


@dataclass(frozen=True)
class Fleet:
    """Devices are numbered from 0. `api_key` is an admin's, `made_at` the time of the filling."""

    sites: int
    devices: int
    checks: int
    audit_rows: int
    api_key: str = ""
    made_at: str = ""

    @property
    def small_sites(self) -> int:
        """The first sites have five devices each; the others share the rest evenly."""
        return min(MOST_SMALL_SITES, self.sites // 2)

    def site_of(self, device: int) -> int:
        first = self.first_device_of_large_sites()
        if device < first:
            return device // SMALL_SITE_DEVICES
        return self.small_sites + (device - first) % (self.sites - self.small_sites)

    def first_device_of_large_sites(self) -> int:
        return self.small_sites * SMALL_SITE_DEVICES

    def is_gateway(self, device: int) -> bool:
        """The first device of each large site."""
        first = self.first_device_of_large_sites()
        return first <= device < first + self.sites - self.small_sites

    def device_made_at(self, device: int) -> datetime:
        return datetime.fromisoformat(self.made_at) - timedelta(seconds=self.devices - device)


def device_key(device: int) -> str:
    return f"{DEVICE_KEY_PREFIX}{device:043}"
