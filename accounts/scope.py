"""Which rows somebody may know of: those of the sites they were given."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models

from accounts import policy
from accounts.models import SiteMembership

Rows = TypeVar("Rows", bound=models.QuerySet)


def in_scope(rows: Rows, user: Any, site: str, action: policy.Action = policy.Action.VIEW) -> Rows:
    """Those of `rows` that `user` may know of, none unless `user` may do `action`.

    `site` is the path from a row to its site: "pk" for sites themselves. It costs no
    statement of its own.
    """
    if not policy.may(user, action):
        return rows.none()
    if not user.is_authenticated or not policy.is_scoped(user):
        return rows
    own_sites = SiteMembership.objects.filter(user=user.pk).values("site")
    return rows.filter(**{f"{site}__in": own_sites})
