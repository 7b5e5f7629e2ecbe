from __future__ import annotations

from django.urls import re_path

from devices.protocol.views import PermissionsViewSet, ProvisionViewSet
from devices.views import (
    DeviceEventViewSet,
    DeviceViewSet,
    EnrolmentKeyViewSet,
    HealthCheckViewSet,
    SiteDeviceViewSet,
    StatusChangeViewSet,
)
from homepot.identifiers import IDENTIFIER_PATTERN
from homepot.routers import OptionalSlashRouter

router = OptionalSlashRouter()
router.register("devices", DeviceViewSet, basename="device")

urlpatterns = [
    re_path(
        r"^bootstrap-provision/?$",
        ProvisionViewSet.as_view({"post": "create"}),
        name="bootstrap-provision",
    ),
    re_path(
        rf"^device/(?P<device_id>{IDENTIFIER_PATTERN})/permissions/?$",
        PermissionsViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="device-permissions",
    ),
    *router.urls,
    re_path(
        rf"^sites/(?P<site_id>{IDENTIFIER_PATTERN})/devices/?$",
        SiteDeviceViewSet.as_view({"get": "list", "post": "create"}),
        name="site-devices",
    ),
    re_path(
        rf"^devices/(?P<device_id>{IDENTIFIER_PATTERN})/health-checks/?$",
        HealthCheckViewSet.as_view({"get": "list", "post": "create"}),
        name="device-health-checks",
    ),
    re_path(
        rf"^devices/(?P<device_id>{IDENTIFIER_PATTERN})/status-changes/?$",
        StatusChangeViewSet.as_view({"get": "list"}),
        name="device-status-changes",
    ),
    re_path(
        rf"^devices/(?P<device_id>{IDENTIFIER_PATTERN})/events/?$",
        DeviceEventViewSet.as_view({"get": "list"}),
        name="device-events",
    ),
    re_path(
        rf"^sites/(?P<site_id>{IDENTIFIER_PATTERN})/enrolment-key/?$",
        EnrolmentKeyViewSet.as_view({"post": "create", "delete": "destroy"}),
        name="site-enrolment-key",
    ),
]
