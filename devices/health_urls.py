from __future__ import annotations

from django.urls import re_path

from devices.health_views import DeviceHealthViewSet, FleetHealthViewSet, SiteHealthViewSet
from homepot.identifiers import IDENTIFIER_PATTERN

urlpatterns = [
    re_path(
        rf"^sites/(?P<site_id>{IDENTIFIER_PATTERN})/health/?$",
        SiteHealthViewSet.as_view({"get": "retrieve"}),
        name="site-health",
    ),
    re_path(
        rf"^devices/(?P<device_id>{IDENTIFIER_PATTERN})/health/?$",
        DeviceHealthViewSet.as_view({"get": "retrieve"}),
        name="device-health",
    ),
    re_path(r"^fleet/?$", FleetHealthViewSet.as_view({"get": "retrieve"}), name="fleet-health"),
]
