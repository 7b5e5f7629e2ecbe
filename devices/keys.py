"""The keys of devices and of sites that let devices in."""

from __future__ import annotations

DEVICE_KEY_PREFIX = "hpd_"
ENROLMENT_KEY_PREFIX = "hpe_"
