"""The REST API of how devices are; what stands behind it is in `health.py` and
`device_health.py`."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from accounts.policy import READ, READ_SITES
from devices.device_health import device_health
from devices.health import fleet_health, site_health
from devices.models import Device
from devices.serializers import (
    DeviceHealthAnswerSerializer,
    FleetHealthSerializer,
    SiteHealthSerializer,
)
from homepot.viewsets import StrictViewSet, reads
from sites.models import Site


class SiteHealthViewSet(StrictViewSet):
    """How the devices of one site are."""

    resource_name = "site_health"
    serializer_class = SiteHealthSerializer
    access = READ_SITES
    queryset = Site.objects.none()

    @reads
    def retrieve(self, request: Request, site_id: str) -> Any:
        return site_health(self.asked())


class DeviceHealthViewSet(StrictViewSet):
    """How one device is, since when and why, and how the last day was."""

    resource_name = "device_health"
    serializer_class = DeviceHealthAnswerSerializer
    access = READ
    queryset = Device.objects.none()

    @reads
    def retrieve(self, request: Request, device_id: str) -> Any:
        return device_health(self.asked())


class FleetHealthViewSet(StrictViewSet):
    """How the whole fleet is: counts by status, and the sites, the worst first."""

    resource_name = "fleet_health"
    serializer_class = FleetHealthSerializer
    access = READ
    queryset = Device.objects.none()

    @reads
    def retrieve(self, request: Request) -> Any:
        return fleet_health(self.asked())
