"""Staff pages of what happened to devices: flips of their status, and what they told."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from devices.admin.about_devices import AboutDevicesAdmin
from devices.admin.labels import severity_label, status_label
from devices.models import DeviceEvent, HealthCheck, StatusChange
from homepot.admin import (
    NOTHING,
    DateRangeFilter,
    RelatedFilter,
    json_text,
    page_link,
    second_text,
    two_lines,
)

MESSAGE_LENGTH = 120


class DeviceHistoryAdmin(AboutDevicesAdmin):
    """Rows with a time `at`, newest first."""

    sortable_by = ("time",)

    @display(description="Time", ordering="at")
    def time(self, row: Any) -> SafeString:
        return second_text(row.at)


@admin.register(StatusChange)
class StatusChangeAdmin(DeviceHistoryAdmin):
    list_display = ("time", "terminal", "place", "became", "was", "why")
    list_filter = (
        ("new_status", ChoicesCheckboxFilter),
        ("device", RelatedFilter),
        ("device__site", RelatedFilter),
        ("at", DateRangeFilter),
    )
    filter_titles = {"new_status": "became", "device__site": "site", "at": "time"}
    fields = ("time", "its_device", "was", "became", "reason", "shown_by")
    empty_means = "They come by themselves once a device's status changes."

    @display(description="Became")
    def became(self, change: StatusChange) -> SafeString:
        return status_label(change.new_status)

    @display(description="Was")
    def was(self, change: StatusChange) -> SafeString:
        return status_label(change.old_status)

    @display(description="Reason")
    def why(self, change: StatusChange) -> str:
        return change.reason[:MESSAGE_LENGTH] or NOTHING

    @display(description="Shown by")
    def shown_by(self, change: StatusChange) -> str:
        if change.evidence is None:
            return "Time alone, or staff"
        return evidence_link(change.evidence)


@admin.register(DeviceEvent)
class DeviceEventAdmin(DeviceHistoryAdmin):
    list_display = ("time", "terminal", "place", "what", "severity_name", "said")
    list_defer = (*DeviceHistoryAdmin.list_defer, "data")
    list_filter = (
        ("kind", ChoicesCheckboxFilter),
        ("device", RelatedFilter),
        ("device__site", RelatedFilter),
        ("at", DateRangeFilter),
    )
    filter_titles = {"device__site": "site", "at": "time", "kind": "event"}
    fields = ("time", "its_device", "kind", "event_type", "severity_name", "message", "details")
    empty_means = "They are what devices tell of their own accord."

    @display(description="Event")
    def what(self, event: DeviceEvent) -> str:
        return two_lines(event.get_kind_display(), event.event_type)

    @display(description="Severity")
    def severity_name(self, event: DeviceEvent) -> SafeString:
        return severity_label(event.severity)

    @display(description="Message")
    def said(self, event: DeviceEvent) -> str:
        return event.message[:MESSAGE_LENGTH] or NOTHING

    @display(description="Data")
    def details(self, event: DeviceEvent) -> str:
        return json_text(event.data)


def evidence_link(pk: int) -> str:
    """A link to a check, as long as it is kept."""
    if not HealthCheck.objects.filter(pk=pk).exists():
        return "A health check that is no longer kept"
    return page_link("devices_healthcheck", pk, f"Health check {pk}")
