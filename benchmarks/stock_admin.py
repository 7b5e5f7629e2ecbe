"""The same tables in Django's own admin, as it comes: what `admin_lists` compares with."""

from __future__ import annotations

from pathlib import Path

from django.contrib import admin
from django.contrib.admin import AdminSite, ModelAdmin
from django.urls import path

from audit.models import AuditLog
from devices.models import Device, HealthCheck

TEMPLATES_OF_DJANGO = Path(admin.__file__).parent / "templates"
site = AdminSite()


class StockHealthCheckAdmin(ModelAdmin):
    list_display = (
        "checked_at",
        "device",
        "is_healthy",
        "response_time_ms",
        "status_code",
        "error_message",
    )
    list_filter = ("is_healthy", "checked_at")


class StockAuditLogAdmin(ModelAdmin):
    list_display = (
        "created_at",
        "event_type",
        "target_label",
        "actor_label",
        "outcome",
        "ip_address",
    )
    list_filter = ("event_type", "outcome", "severity", "actor_kind", "created_at")


class StockDeviceAdmin(ModelAdmin):
    list_display = ("name", "site", "device_type", "status", "status_since", "last_seen")
    list_filter = ("status", "device_type", "lifecycle_state", "created_at")


site.register(HealthCheck, StockHealthCheckAdmin)
site.register(AuditLog, StockAuditLogAdmin)
site.register(Device, StockDeviceAdmin)
urlpatterns = [path("admin/", site.urls)]
