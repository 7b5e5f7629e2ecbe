"""Staff pages of devices and their health."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    CheckboxFilter,
    ChoicesCheckboxFilter,
)
from unfold.decorators import display

from devices import services
from devices.enums import DeviceStatus, LifecycleState
from devices.models import Device, HealthCheck
from homepot.admin import (
    Command,
    DateRangeFilter,
    InUseFilter,
    LongTableAdmin,
    RelatedFilter,
    RetirableModelAdmin,
    json_text,
    label,
    list_link,
    once,
    second_text,
    time_text,
    two_lines,
)
from homepot.forms import JSONObjectField

STATUS_COLOURS = {
    DeviceStatus.ONLINE.label: "success",
    DeviceStatus.OFFLINE.label: "warning",
    DeviceStatus.ERROR.label: "danger",
    DeviceStatus.MAINTENANCE.label: "info",
}
LIFECYCLE_COLOURS = {
    LifecycleState.ACTIVE.label: "success",
    LifecycleState.PENDING.label: "info",
    LifecycleState.SUSPENDED.label: "warning",
}
RESULT_COLOURS = {"Healthy": "success", "Unhealthy": "danger"}
LATEST_CHECKS = 5
ERROR_LENGTH = 80


class StatusFilter(CheckboxFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return DeviceStatus.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        statuses = self.value()
        return queryset.filter(current_status__in=statuses) if statuses else queryset


class DeviceForm(forms.ModelForm):
    config = JSONObjectField(
        required=False,
        label="Configuration",
        help_text="A JSON object, which the device is given as it stands.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "device_id" in self.fields:
            self.fields["device_id"].required = False
            self.fields["device_id"].help_text = "Never changes. Left empty, a random one is made."

    def clean_ip_address(self) -> str | None:
        return self.cleaned_data["ip_address"] or None

    def clean_mac_address(self) -> str:
        """As stored: lower case, with colons."""
        return str(self.cleaned_data["mac_address"]).lower().replace("-", ":")


@admin.register(Device)
class DeviceAdmin(RetirableModelAdmin):
    form = DeviceForm
    labels = {
        "device_id": "Device id",
        "device_type": "Type",
        "ip_address": "IP address",
        "mac_address": "MAC address",
        "config_version": "Running version",
        "desired_config_version": "Wanted version",
        "firmware_version": "Firmware",
    }
    list_display = ("terminal", "place", "kind", "state", "since", "seen")
    list_select_related = ("site",)
    list_filter = (
        StatusFilter,
        ("device_type", ChoicesCheckboxFilter),
        ("site", RelatedFilter),
        ("lifecycle_state", ChoicesCheckboxFilter),
        InUseFilter,
        ("created_at", DateRangeFilter),
    )
    search_fields = ("device_id", "name", "ip_address", "mac_address")
    search_help_text = "Id, name or address"
    sortable_by = ("terminal", "since")
    autocomplete_fields = ("site",)
    fieldsets = (
        (None, {"fields": ("state", "reason", ("since", "last_seen"), "latest_checks")}),
        ("Identity", {"fields": ("device_id", "site", "name", "device_type")}),
        ("Addresses", {"fields": (("ip_address", "mac_address"),)}),
        ("Configuration", {"fields": ("config", ("config_version", "desired_config_version"))}),
        ("Reported by the device", {"fields": ("firmware_version", "system", "allowed")}),
        ("Record", {"fields": (("lifecycle", "simulated"), ("created_at", "updated_at"))}),
    )
    add_fieldsets = (
        (None, {"fields": ("site", "device_id", "name", "device_type")}),
        ("Addresses", {"fields": (("ip_address", "mac_address"),)}),
        ("Configuration", {"fields": ("config",)}),
    )
    readonly_fields = (
        "state",
        "reason",
        "since",
        "last_seen",
        "latest_checks",
        "config_version",
        "desired_config_version",
        "firmware_version",
        "system",
        "allowed",
        "lifecycle",
        "simulated",
        "created_at",
        "updated_at",
    )
    retiring = Command(
        title="Retire",
        means=(
            "A retired device is out of use for good: it can no longer check in, cannot be changed "
            "and is left out of lists and counts. Its history stays, and its name is free again."
        ),
        done="Retired",
        run=lambda device, actor: services.retire_device(device=device, actor=actor),
        is_dangerous=True,
        is_offered=lambda device: device.is_active,
    )
    commands = {"retire": retiring}
    empty_means = "Devices enrol themselves, or are added here."

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).with_status(timezone.now())

    def get_readonly_fields(self, request: HttpRequest, obj: Device | None = None) -> Any:
        # What a device is called never changes; moving it is more than a change of a field.
        return self.readonly_fields if obj is None else ("device_id", "site", *self.readonly_fields)

    def create_object(self, request: Any, fields: dict[str, Any]) -> Device:
        return services.create_device(actor=request.user, **fields)

    def update_object(self, request: Any, obj: Device, fields: dict[str, Any]) -> Device:
        return services.update_device(device=obj, actor=request.user, **fields)

    @display(description="Device", ordering="name")
    def terminal(self, device: Device) -> str:
        return two_lines(device.name, device.device_id)

    @display(description="Site")
    def place(self, device: Device) -> str:
        return two_lines(device.site.name, device.site.site_id)

    @display(description="Type and address")
    def kind(self, device: Device) -> str:
        return two_lines(device.get_device_type_display(), device.ip_address)

    @display(description="Status")
    def state(self, device: Any) -> SafeString:
        return label(DeviceStatus(device.current_status).label, STATUS_COLOURS)

    @display(description="Reason")
    def reason(self, device: Any) -> str:
        return device.current_reason or "-"

    @display(description="Since", ordering="status_since")
    def since(self, device: Any) -> SafeString:
        return time_text(device.current_since)

    @display(description="Last seen")
    def seen(self, device: Device) -> SafeString:
        return time_text(device.last_seen)

    @display(description="Operating system")
    def system(self, device: Device) -> str:
        return json_text(device.os_details)

    @display(description="Permissions")
    def allowed(self, device: Device) -> str:
        return json_text(device.permissions)

    @display(description="Lifecycle")
    def lifecycle(self, device: Device) -> SafeString:
        return label(device.get_lifecycle_state_display(), LIFECYCLE_COLOURS)

    @display(description="Simulated")
    def simulated(self, device: Device) -> str:
        return "Yes" if device.is_simulated else "No"

    @display(description="Latest checks")
    @once
    def latest_checks(self, device: Any) -> str:
        checks = device.health_checks.order_by("-checked_at", "-id")[:LATEST_CHECKS]
        lines = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            (
                (
                    second_text(check.checked_at),
                    result_label(check),
                    milliseconds(check.response_time_ms),
                    check.error_message[:ERROR_LENGTH],
                )
                for check in checks
            ),
        )
        if not lines:
            return "None yet: the device has not checked in."
        more = list_link("devices_healthcheck", "All checks", device__id__exact=device.pk)
        return format_html('<table class="homepot-table">{}</table>{}', lines, more)


def result_label(check: HealthCheck) -> SafeString:
    return label("Healthy" if check.is_healthy else "Unhealthy", RESULT_COLOURS)


def milliseconds(value: int | None) -> str:
    return "-" if value is None else f"{value:,} ms"


@admin.register(HealthCheck)
class HealthCheckAdmin(LongTableAdmin):
    list_display = (
        "at",
        "terminal",
        "place",
        "result",
        "answer",
        "error",
    )
    list_select_related = ("device__site",)
    list_filter = (
        ("is_healthy", BooleanRadioFilter),
        ("device", RelatedFilter),
        ("device__site", RelatedFilter),
        ("checked_at", DateRangeFilter),
    )
    search_fields = ("device__device_id", "device__name")
    search_help_text = "Id or name of the device"
    sortable_by = ("at",)
    fieldsets = (
        (None, {"fields": ("device", "site", "result", "error_message")}),
        ("Answer", {"fields": (("response_time", "status_code"), "endpoint", "data")}),
        ("Time", {"fields": ("checked_at", "reported_at", "reported_by")}),
    )

    empty_means = "They come by themselves once devices check in."

    @display(description="Checked at", ordering="checked_at")
    def at(self, check: HealthCheck) -> SafeString:
        return second_text(check.checked_at)

    @display(description="Device")
    def terminal(self, check: HealthCheck) -> str:
        return two_lines(check.device.name, check.device.device_id)

    @display(description="Site")
    def place(self, check: HealthCheck) -> str:
        return two_lines(check.device.site.name, check.device.site.site_id)

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
        return check.error_message[:ERROR_LENGTH] or "-"

    @display(description="Data")
    def data(self, check: HealthCheck) -> str:
        return json_text(check.response_data)
