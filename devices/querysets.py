"""Named questions to the tables of devices and health checks."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from accounts.scope import in_scope
from devices.pace import current_status


class DeviceQuerySet(models.QuerySet):
    def active(self) -> Self:
        """Devices that have not been retired."""
        return self.filter(is_active=True)

    def with_status(self, now: Any) -> Self:
        """Annotate `current_status`, `current_reason` and `current_since` as of `now`."""
        return self.annotate(**current_status(now))

    def visible_to(self, user: Any) -> Self:
        """The devices `user` may know of."""
        return in_scope(self, user, "site")


class HealthCheckQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The health checks of devices `user` may know of."""
        return in_scope(self, user, "device__site")


class StatusChangeQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The status changes of devices `user` may know of."""
        return in_scope(self, user, "device__site")


class DeviceEventQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The events of devices `user` may know of."""
        return in_scope(self, user, "device__site")
