"""Staff pages of devices, their health and their history, and what sites show of them."""

from __future__ import annotations

from devices.admin import checks as checks
from devices.admin import device as device
from devices.admin import device_page as device_page
from devices.admin import history as history
from devices.admin import overview as overview
from devices.admin import site_page as site_page
