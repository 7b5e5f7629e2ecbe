"""Named questions to the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q

from accounts.policy import Action, may
from accounts.scope import in_scope
from audit.enums import AuditEvent


class AuditLogQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The rows `user` may know of: all for an admin, else those on the fleet in scope."""
        if may(user, Action.ADMINISTER):
            return self
        on_the_fleet = Q(site__isnull=False) | Q(device__isnull=False) | Q(job__isnull=False)
        return in_scope(self.filter(on_the_fleet), user, "site")

    def prunable(self, before: datetime) -> Self:
        """Rows made before `before`, but for those that tell of earlier prunings."""
        return self.filter(created_at__lt=before).exclude(event_type=AuditEvent.AUDIT_PRUNED)
