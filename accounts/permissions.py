"""The policy, asked before every API request."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.policy import Action, may, may_see_fleet


class PolicyPermission(BasePermission):
    """Reading takes `view`, writing takes `operate`.

    Views that say `allows_anonymous_read` are open to everybody under API__ANONYMOUS_READ.
    """

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method not in SAFE_METHODS:
            return may(request.user, Action.OPERATE)
        if getattr(view, "allows_anonymous_read", False):
            return may_see_fleet(request.user)
        return may(request.user, Action.VIEW)
