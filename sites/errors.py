"""What the present state of a site can refuse."""

from __future__ import annotations

from homepot.errors import DomainError


class SiteRetiredError(DomainError):
    code = "site_retired"


class SiteHasDevicesError(DomainError):
    code = "site_has_devices"
