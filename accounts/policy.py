"""What each role may do. One table decides for the API and the admin alike."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from accounts.enums import Role


class Action(models.TextChoices):
    VIEW = "view"
    OPERATE = "operate"  # change sites, devices and jobs
    ADMINISTER = "administer"  # change accounts, read the whole audit log


ROLE_MAY: dict[str, frozenset[Action]] = {
    Role.NONE: frozenset(),
    Role.VIEWER: frozenset({Action.VIEW}),
    Role.OPERATOR: frozenset({Action.VIEW, Action.OPERATE}),
    Role.ADMIN: frozenset(Action),
}


def may(user: Any, action: Action) -> bool:
    """Whether `user`, who may be anonymous, may do `action` at all."""
    return bool(user.is_authenticated and user.is_active and action in ROLE_MAY[user.role])


def may_see_fleet(user: Any) -> bool:
    """Whether `user` may see sites and devices; with API__ANONYMOUS_READ everybody may."""
    return may(user, Action.VIEW) or (settings.API_ANONYMOUS_READ and user.is_anonymous)


# What the admin's permissions, "devices.change_device", mean for whom.
_ADMIN_ACTIONS = {
    "view": Action.VIEW,
    "add": Action.OPERATE,
    "change": Action.OPERATE,
    "delete": Action.OPERATE,
}


def may_in_admin(user: Any, permission: str) -> bool:
    """Answer Django's `has_perm` for `permission`, such as "devices.change_device"."""
    app_label, _, codename = permission.partition(".")
    if app_label == "accounts":
        return may(user, Action.ADMINISTER)
    return may(user, _ADMIN_ACTIONS.get(codename.partition("_")[0], Action.ADMINISTER))
