"""What each role may do. One table decides for the API, the admin and exports alike.

Which rows somebody may do it to is the other half: `accounts/scope.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from django.conf import settings
from django.db import models

from accounts.enums import Role, SiteAccess


class Action(models.TextChoices):
    ANYONE = "anyone"  # sign up, sign in, read the documentation
    USE_ACCOUNT = "use_account"  # see one's own account, leave it, choose a password
    CHANGE_ACCOUNT = "change_account"  # the rest of one's own account, whatever the role
    VIEW_SITES = "view_sites"  # with API__ANONYMOUS_READ everybody's
    VIEW = "view"
    OPERATE = "operate"  # change sites, devices and jobs
    CREATE_SITES = "create_sites"  # nobody's whose sites are selected: they would not see it
    SPEAK = "speak"  # as a device, for itself
    ADMINISTER = "administer"  # change accounts, read all of the audit log


_OWN = frozenset({Action.ANYONE, Action.USE_ACCOUNT, Action.CHANGE_ACCOUNT})
_VIEWER = _OWN | {Action.VIEW_SITES, Action.VIEW}
_OPERATOR = _VIEWER | {Action.OPERATE, Action.CREATE_SITES}

ROLE_MAY: dict[str, frozenset[Action]] = {
    Role.NONE: _OWN,
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.ADMIN: frozenset(Action) - {Action.SPEAK},
}
DEVICE_MAY = frozenset({Action.ANYONE, Action.SPEAK})

# What a view declares as `access`: the action that each of its methods takes.
Access = Mapping[str, Action]

READ_SITES: Access = {"GET": Action.VIEW_SITES}
READ: Access = {"GET": Action.VIEW}
READ_AND_OPERATE: Access = {
    "GET": Action.VIEW,
    "POST": Action.OPERATE,
    "PUT": Action.OPERATE,
    "PATCH": Action.OPERATE,
    "DELETE": Action.OPERATE,
}


def may(user: Any, action: Action) -> bool:
    """Whether `user`, who may be anonymous or a device, may do `action` at all."""
    if action is Action.ANYONE:
        return True
    if action is Action.VIEW_SITES and settings.API_ANONYMOUS_READ:
        return True
    if not user.is_authenticated:
        return False
    if getattr(user, "is_device", False):
        return action in DEVICE_MAY
    if not user.is_active:
        return False
    if user.must_change_password and action is not Action.USE_ACCOUNT:
        return False
    if action is Action.CREATE_SITES and is_scoped(user):
        return False
    return action in ROLE_MAY[user.role]


def is_scoped(user: Any) -> bool:
    """Whether `user` sees selected sites only; admins always see all."""
    return user.site_access == SiteAccess.SELECTED and user.role != Role.ADMIN


class Standing(NamedTuple):
    """All that is looked at in a user to decide the above, and not who it is.

    `pk`, `username` and `digest` are for what stands for them in SQL.
    """

    is_authenticated: bool
    is_device: bool
    is_active: bool
    must_change_password: bool
    role: str
    site_access: str
    # With which somebody who is only presumed to be there came: see accounts/presumed.py.
    credential: str = ""
    pk: Any = None
    username: Any = None
    digest: Any = None

    @classmethod
    def of(cls, user: Any) -> Self:
        if not user.is_authenticated:
            return cls(False, False, False, False, Role.NONE, SiteAccess.ALL)
        if getattr(user, "is_device", False):
            return cls(True, True, True, False, Role.NONE, SiteAccess.ALL)
        return cls(
            is_authenticated=True,
            is_device=False,
            is_active=user.is_active,
            must_change_password=user.must_change_password,
            role=user.role,
            site_access=user.site_access,
            credential=getattr(user, "credential", ""),
        )


# What the admin's permissions, "devices.change_device", take; the rest takes ADMINISTER.
_ADMIN_ACTIONS = {
    "view": Action.VIEW,
    "add": Action.OPERATE,
    "change": Action.OPERATE,
    "delete": Action.OPERATE,
}
_ADMIN_EXCEPTIONS = {"sites.add_site": Action.CREATE_SITES}
# Apps about the fleet; of all others the admin's pages are for admins only.
_FLEET_APPS = frozenset({"audit", "sites", "devices", "jobs"})


def admin_action(permission: str) -> Action:
    """The action that Django's `permission`, such as "devices.change_device", takes."""
    app_label, _, codename = permission.partition(".")
    if app_label not in _FLEET_APPS:
        return Action.ADMINISTER
    verb = codename.partition("_")[0]
    return _ADMIN_EXCEPTIONS.get(permission) or _ADMIN_ACTIONS.get(verb, Action.ADMINISTER)


def may_in_admin(user: Any, permission: str) -> bool:
    """Answer Django's `has_perm`."""
    return may(user, admin_action(permission))
