"""Staff pages of devices."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from devices import services
from devices.admin import commands
from devices.admin.filters import SinceFilter, StatusFilter
from devices.admin.forms import DeviceForm
from devices.admin.labels import lifecycle_label, status_label
from devices.enums import LifecycleState
from devices.models import Device
from devices.sheet import DEVICES
from homepot.admin import (
    Command,
    DateRangeFilter,
    InUseFilter,
    RelatedFilter,
    RetirableModelAdmin,
    moment_text,
    on_list,
    on_page,
    two_lines,
)
from homepot.forms import is_key
from homepot.spreadsheets.admin import SheetAdmin
from sites.models import Site


@admin.register(Device)
class DeviceAdmin(SheetAdmin, RetirableModelAdmin):
    sheet = DEVICES
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
    list_defer = ("config", "os_details", "permissions")
    list_filter = (
        StatusFilter,
        SinceFilter,
        ("device_type", ChoicesCheckboxFilter),
        ("site", RelatedFilter),
        ("lifecycle_state", ChoicesCheckboxFilter),
        InUseFilter,
        ("created_at", DateRangeFilter),
    )
    filter_titles = {"device_type": "type", "lifecycle_state": "lifecycle", "created_at": "added"}
    search_fields = ("device_id", "name", "^ip_address", "^mac_address")
    search_help_text = "Id, name or address"
    sortable_by = ("terminal", "since")
    autocomplete_fields = ("site",)
    fieldsets = (
        ("Identity", {"fields": ("device_id", "site", "name", "device_type")}),
        ("Addresses", {"fields": (("ip_address", "mac_address"),)}),
        ("Configuration", {"fields": ("config",)}),
        ("Times", {"fields": ("simulated", ("created_at", "updated_at"))}),
    )
    add_fieldsets = (
        (None, {"fields": ("site", "device_id", "name", "device_type")}),
        ("Addresses", {"fields": (("ip_address", "mac_address"),)}),
        ("Configuration", {"fields": ("config",)}),
    )
    readonly_fields = ("simulated", "created_at", "updated_at")
    has_sections = True
    list_disable_select_all = False
    actions = (
        "maintain_selected",
        "end_maintenance_selected",
        "suspend_selected",
        "resume_selected",
        "rotate_key_selected",
        "retire_selected",
    )
    actions_detail = (
        "maintenance",
        "end_maintenance",
        "rotate_key",
        "transfer",
        "resume",
        "suspend",
        "revoke_keys",
        "re_enrol",
        "retire",
    )
    maintenance = on_page(commands.MAINTAIN, "maintenance", "build")
    end_maintenance = on_page(commands.END_MAINTENANCE, "end-maintenance", "build_circle")
    rotate_key = on_page(commands.ROTATE_KEY, "rotate-key", "key")
    transfer = on_page(commands.TRANSFER, "transfer", "move_location")
    resume = on_page(commands.RESUME, "resume", "play_circle")
    suspend = on_page(commands.SUSPEND, "suspend", "pause_circle")
    revoke_keys = on_page(commands.REVOKE_KEYS, "revoke-keys", "key_off")
    re_enrol = on_page(commands.RE_ENROL, "re-enrol", "swap_horiz")
    retire = on_page(commands.RETIRE, "retire", "inventory_2")
    maintain_selected = on_list(commands.MAINTAIN)
    end_maintenance_selected = on_list(commands.END_MAINTENANCE)
    suspend_selected = on_list(commands.SUSPEND)
    resume_selected = on_list(commands.RESUME)
    rotate_key_selected = on_list(commands.ROTATE_KEY)
    retire_selected = on_list(commands.RETIRE)
    empty_means = "Devices enrol themselves, or are added here."

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("site").with_status(timezone.now())

    def get_readonly_fields(self, request: HttpRequest, obj: Device | None = None) -> Any:
        # What a device is called never changes; moving it is more than a change of a field.
        return self.readonly_fields if obj is None else ("device_id", "site", *self.readonly_fields)

    def create_object(self, request: Any, fields: dict[str, Any]) -> Device:
        device, key = services.register_device(actor=request.user, **fields)
        device.new_key = key  # type: ignore[attr-defined]
        return device

    def update_object(self, request: Any, obj: Device, fields: dict[str, Any]) -> Device:
        return services.update_device(device=obj, actor=request.user, **fields)

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        # Not by way of a message, which a cookie or a session would keep.
        return self.key_page(
            request,
            obj,
            obj.new_key,
            commands.KEY_MEANS,
            another=request.get_full_path() if "_addanother" in request.POST else None,
        )

    def get_custom_urls(self) -> Any:
        return (
            ("site-maintenance/", "devices_device_site_maintenance", self.site_maintenance),
            (
                "end-site-maintenance/",
                "devices_device_end_site_maintenance",
                self.end_site_maintenance,
            ),
        )

    def site_maintenance(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return self._at_site(request, commands.MAINTAIN)

    def end_site_maintenance(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return self._at_site(request, commands.END_MAINTENANCE)

    def _at_site(self, request: HttpRequest, command: Command) -> HttpResponse:
        """`ask_many` of the devices at the site that the parameter `site` names by its key."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        key = request.GET.get("site", "")
        sites = Site.objects.active().visible_to(request.user)
        site = get_object_or_404(sites, pk=key) if is_key(key) else None
        if site is None:
            raise Http404
        devices = self.get_queryset(request).filter(site=site, is_active=True)
        back = reverse("admin:sites_site_change", args=[site.pk])
        return self.ask_many(request, devices, command, back) or redirect(back)

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
        status = status_label(device.current_status)
        if device.lifecycle_state == LifecycleState.ACTIVE:
            return status
        # Why it is unknown or offline: nobody expects it to speak.
        return format_html("{} {}", status, lifecycle_label(device.lifecycle_state))

    @display(description="Since", ordering="status_since")
    def since(self, device: Any) -> SafeString:
        return moment_text(device.current_since)

    @display(description="Last seen")
    def seen(self, device: Device) -> SafeString:
        return moment_text(device.last_seen)

    @display(description="Simulated")
    def simulated(self, device: Device) -> str:
        return "Yes" if device.is_simulated else "No"
