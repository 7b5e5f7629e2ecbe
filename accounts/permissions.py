"""The policy, asked before every API request."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.policy import Access, Action, may


class PolicyPermission(BasePermission):
    """Lets a request pass when its role may do what the view declares for the method."""

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        return may(request.user, action_of(view, request.method or "GET"))


def action_of(view: Any, method: str) -> Action:
    """The action that `method` takes on `view`; raises ImproperlyConfigured if undeclared."""
    access: Access | None = getattr(view, "access", None)
    if access is None:
        raise ImproperlyConfigured(f"{type(view).__name__} declares no access.")
    # HEAD and OPTIONS are kinds of reading. A method that the view does not have needs no
    # more than an account to hear so.
    method = "GET" if method in ("HEAD", "OPTIONS") else method
    return access.get(method, Action.USE_ACCOUNT)
