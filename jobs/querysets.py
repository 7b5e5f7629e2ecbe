"""Named questions to the table of jobs."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from accounts.scope import in_scope


class JobQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The jobs `user` may know of."""
        return in_scope(self, user, "site")
