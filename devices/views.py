"""The REST API of devices and their health."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.policy import READ_AND_OPERATE, READ_SITES
from devices import services
from devices.filters import DeviceFilter, HealthCheckFilter, SiteDeviceFilter
from devices.health import site_health
from devices.models import Device, HealthCheck
from devices.querysets import DeviceQuerySet, HealthCheckQuerySet
from devices.reports import Report
from devices.serializers import (
    DeviceSerializer,
    HealthCheckSerializer,
    SiteDeviceSerializer,
    SiteHealthSerializer,
)
from homepot.viewsets import ResourceViewSet, StrictViewSet
from sites.models import Site


class DeviceViewSet(ResourceViewSet):
    """Managed endpoints. Deleting one retires it: its history stays."""

    resource_name = "devices"
    serializer_class = DeviceSerializer
    access = READ_AND_OPERATE
    filterset_class = DeviceFilter
    lookup_field = "device_id"
    orderings = {
        "created_at": "created_at",
        "name": "name",
        "device_id": "device_id",
        "status_since": "status_since",
    }
    queryset = Device.objects.none()  # tells the schema the model

    def get_queryset(self) -> DeviceQuerySet:
        return Device.objects.active().visible_to(self.request.user).with_status(timezone.now())

    def perform_create(self, fields: dict[str, Any]) -> Device:
        return services.create_device(actor=self.actor, **fields)

    def perform_update(self, instance: Device, fields: dict[str, Any]) -> None:
        services.update_device(device=instance, actor=self.actor, **fields)

    def perform_destroy(self, instance: Device) -> None:
        services.retire_device(device=instance, actor=self.actor)


class SiteDeviceViewSet(StrictViewSet):
    """The devices of one site."""

    resource_name = "devices"
    serializer_class = SiteDeviceSerializer
    access = READ_AND_OPERATE
    filterset_class = SiteDeviceFilter
    orderings = DeviceViewSet.orderings
    queryset = Device.objects.none()

    def get_queryset(self) -> DeviceQuerySet:
        return Device.objects.active().visible_to(self.request.user).with_status(timezone.now())

    def list(self, request: Request, site_id: str) -> Response:
        page = self.page_of(self.get_queryset().filter(site__site_id=site_id))
        if not page["devices"]:  # a device shows that its site exists
            self._site(site_id)
        return Response(page)

    def create(self, request: Request, site_id: str) -> Response:
        data = self.body(request)
        site = self._site(site_id)
        device = services.create_device(site=site, actor=self.actor, **self.checked(data))
        row = self.row_of(self.get_queryset().filter(pk=device.pk))
        return Response(row, status=status.HTTP_201_CREATED)

    def _site(self, site_id: str) -> Site:
        return get_object_or_404(
            Site.objects.active().visible_to(self.request.user), site_id=site_id
        )


class HealthCheckViewSet(StrictViewSet):
    """The health checks of one device. Posting one brings the device's status in line."""

    resource_name = "health_checks"
    serializer_class = HealthCheckSerializer
    access = READ_AND_OPERATE
    filterset_class = HealthCheckFilter
    ordering = "-checked_at"
    orderings = {"checked_at": "checked_at"}
    queryset = HealthCheck.objects.none()

    def get_queryset(self) -> HealthCheckQuerySet:
        return HealthCheck.objects.visible_to(self.request.user)

    def list(self, request: Request, device_id: str) -> Response:
        page = self.page_of(self.get_queryset().filter(device__device_id=device_id))
        if not page["health_checks"]:  # a check shows that its device exists
            self._device(device_id)
        return Response(page)

    def create(self, request: Request, device_id: str) -> Response:
        data = self.body(request)
        device = self._device(device_id)
        check = services.record_health_check(device=device, report=Report(**self.checked(data)))
        row = self.row_of(self.get_queryset().filter(pk=check.pk))
        return Response(row, status=status.HTTP_201_CREATED)

    def _device(self, device_id: str) -> Device:
        return get_object_or_404(
            Device.objects.active().visible_to(self.request.user), device_id=device_id
        )


class SiteHealthViewSet(StrictViewSet):
    """How the devices of one site are."""

    resource_name = "site_health"
    serializer_class = SiteHealthSerializer
    access = READ_SITES
    queryset = Site.objects.none()

    def retrieve(self, request: Request, site_id: str) -> Response:
        return Response(
            site_health(Site.objects.active().visible_to(request.user), site_id, timezone.now())
        )
