"""The policy, asked before every API request."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.policy import Action, may


class PolicyPermission(BasePermission):
    """Reading takes `view`, writing takes what the view declares as `write_action`."""

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return may(request.user, Action.VIEW)
        return may(request.user, getattr(view, "write_action", Action.OPERATE))
