"""Named questions to the table of jobs."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from accounts.policy import Action, may


class JobQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The jobs `user` may know of."""
        return self if may(user, Action.VIEW) else self.none()
