from __future__ import annotations

from django.urls import re_path

from devices.views import DeviceViewSet, HealthCheckViewSet, SiteDeviceViewSet
from homepot.identifiers import IDENTIFIER_PATTERN
from homepot.routers import OptionalSlashRouter

router = OptionalSlashRouter()
router.register("devices", DeviceViewSet, basename="device")

urlpatterns = [
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
]
