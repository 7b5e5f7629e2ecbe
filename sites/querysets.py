"""Named questions to the table of sites."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from accounts.policy import may_see_fleet


class SiteQuerySet(models.QuerySet):
    def active(self) -> Self:
        """Sites that have not been retired."""
        return self.filter(is_active=True)

    def visible_to(self, user: Any) -> Self:
        """The sites `user` may know of."""
        return self if may_see_fleet(user) else self.none()
