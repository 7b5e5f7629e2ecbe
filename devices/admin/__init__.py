"""Staff pages of devices, their health and their history, and what sites show of them."""

from __future__ import annotations

from devices.admin import checks as checks
from devices.admin import device as device
from devices.admin import history as history
