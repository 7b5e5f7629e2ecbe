"""Named questions to the tables of devices and health checks."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from accounts.policy import Action, may


class DeviceQuerySet(models.QuerySet):
    def active(self) -> Self:
        """Devices that have not been retired."""
        return self.filter(is_active=True)

    def visible_to(self, user: Any) -> Self:
        """The devices `user` may know of."""
        return self if may(user, Action.VIEW) else self.none()


class HealthCheckQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The health checks of devices `user` may know of."""
        return self if may(user, Action.VIEW) else self.none()
