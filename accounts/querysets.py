"""Named questions to the table of accounts."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from accounts.policy import Action, may


class UserQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The accounts `user` may know of: all for an admin, else their own."""
        return self if may(user, Action.ADMINISTER) else self.filter(pk=user.pk)
