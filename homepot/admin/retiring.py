"""Pages of things that are retired instead of deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant

from homepot.admin.commands import Command, CommandAdmin


class RetirableModelAdmin(CommandAdmin):
    """A subclass has the command in `retiring`."""

    retiring: Command
    actions: Any = ("retire_selected",)
    actions_detail: Any = ("retire",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # unfold asks about an action with the key in place of the object.
        is_retired = isinstance(obj, Model) and not obj.is_active  # type: ignore[attr-defined]
        return not is_retired and super().has_change_permission(request, obj)

    @admin.action(description="Retire", permissions=["change"])
    def retire_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_many(request, queryset, self.retiring)

    @action(
        description="Retire",
        url_path="retire",
        icon="inventory_2",
        variant=ActionVariant.DANGER,
        permissions=["change"],
    )
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.ask(request, object_id, self.retiring)
