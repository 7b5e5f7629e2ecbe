"""Named questions to the table of sites."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from accounts.policy import Action
from accounts.scope import in_scope


class SiteQuerySet(models.QuerySet):
    def active(self) -> Self:
        """Sites that have not been retired."""
        return self.filter(is_active=True)

    def visible_to(self, user: Any) -> Self:
        """The sites `user` may know of."""
        return in_scope(self, user, "pk", Action.VIEW_SITES)
