"""What the list of devices is filtered by."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import CheckboxFilter, DropdownFilter

from devices.enums import DeviceStatus


class StatusFilter(CheckboxFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return DeviceStatus.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        statuses = self.value()
        return queryset.filter(current_status__in=statuses) if statuses else queryset


class SinceFilter(DropdownFilter):
    """By how long devices have been as they are."""

    title = "since"
    parameter_name = "since"
    all_option = ("", "Any time")
    # Longer than these, or with a dash shorter.
    spans = {
        "-hour": ("less than an hour ago", timedelta(hours=1)),
        "hour": ("more than an hour ago", timedelta(hours=1)),
        "day": ("more than a day ago", timedelta(days=1)),
        "week": ("more than a week ago", timedelta(days=7)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, title) for name, (title, _) in self.spans.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        name = self.value() or ""
        if name not in self.spans:
            return queryset
        moment = timezone.now() - self.spans[name][1]
        is_later = name.startswith("-")
        return queryset.filter(**{f"current_since__{'gt' if is_later else 'lte'}": moment})
