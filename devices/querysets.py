"""Named questions to the tables of devices and health checks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Case, F, Q, Value, When

from accounts.scope import in_scope
from devices.enums import DeviceStatus
from devices.status import SILENT_REASON


class DeviceQuerySet(models.QuerySet):
    def active(self) -> Self:
        """Devices that have not been retired."""
        return self.filter(is_active=True)

    def with_status(self, now: datetime) -> Self:
        """Annotate `current_status`, `current_reason` and `current_since` as of `now`.

        The stored status, but offline from the moment that is due, swept or not. The
        counterpart in Python is `Device.status_at`.
        """
        is_due = Q(status_due_at__lte=now)
        return self.annotate(
            current_status=Case(
                When(is_due, then=Value(DeviceStatus.OFFLINE)), default=F("status")
            ),
            current_reason=Case(
                When(is_due, then=Value(SILENT_REASON)), default=F("status_reason")
            ),
            current_since=Case(When(is_due, then=F("status_due_at")), default=F("status_since")),
        )

    def visible_to(self, user: Any) -> Self:
        """The devices `user` may know of."""
        return in_scope(self, user, "site")


class HealthCheckQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The health checks of devices `user` may know of."""
        return in_scope(self, user, "device__site")
