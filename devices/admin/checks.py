"""Staff pages of health checks."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from devices.admin.about_devices import AboutDevicesAdmin
from devices.admin.labels import milliseconds, result_label
from devices.models import HealthCheck
from homepot.admin import (
    NOTHING,
    DateRangeFilter,
    RelatedFilter,
    json_text,
    second_text,
    two_lines,
)

ERROR_LENGTH = 80


@admin.register(HealthCheck)
class HealthCheckAdmin(AboutDevicesAdmin):
    list_display = ("at", "terminal", "place", "result", "answer", "error")
    list_defer = (*AboutDevicesAdmin.list_defer, "response_data")
    list_filter = (
        ("is_healthy", BooleanRadioFilter),
        ("device", RelatedFilter),
        ("device__site", RelatedFilter),
        ("checked_at", DateRangeFilter),
    )
    filter_titles = {"is_healthy": "result", "device__site": "site", "checked_at": "time"}
    sortable_by = ("at",)
    fieldsets = (
        (None, {"fields": ("its_device", "site", "result", "error_message")}),
        ("Answer", {"fields": (("response_time", "status_code"), "endpoint", "data")}),
        ("Time", {"fields": ("checked_at", "reported_at", "reported_by")}),
    )
    empty_means = "They come by themselves once devices check in."

    @display(description="Time", ordering="checked_at")
    def at(self, check: HealthCheck) -> SafeString:
        return second_text(check.checked_at)

    @display(description="Site")
    def site(self, check: HealthCheck) -> str:
        return str(check.device.site)

    @display(description="Result")
    def result(self, check: HealthCheck) -> SafeString:
        return result_label(check)

    @display(description="Answer")
    def answer(self, check: HealthCheck) -> str:
        code = "" if check.status_code is None else f"HTTP {check.status_code}"
        return two_lines(milliseconds(check.response_time_ms), code)

    @display(description="Response time")
    def response_time(self, check: HealthCheck) -> str:
        return milliseconds(check.response_time_ms)

    @display(description="Error")
    def error(self, check: HealthCheck) -> str:
        return check.error_message[:ERROR_LENGTH] or NOTHING

    @display(description="Data")
    def data(self, check: HealthCheck) -> str:
        return json_text(check.response_data)
