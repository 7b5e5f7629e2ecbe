"""Pages of things that are retired instead of deleted."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from homepot.admin.commands import CommandAdmin


class RetirableModelAdmin(CommandAdmin):
    """What is retired is shown, and cannot be changed."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # unfold asks about an action with the key in place of the object.
        is_retired = isinstance(obj, Model) and not obj.is_active  # type: ignore[attr-defined]
        return not is_retired and super().has_change_permission(request, obj)
