"""The REST API of devices and their health."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.policy import READ, READ_AND_OPERATE
from devices import services
from devices.filters import (
    DeviceEventFilter,
    DeviceFilter,
    HealthCheckFilter,
    SiteDeviceFilter,
    StatusChangeFilter,
)
from devices.models import Device, DeviceEvent, HealthCheck, StatusChange
from devices.querysets import DeviceQuerySet
from devices.reports import Report
from devices.serializers import (
    DeviceEventSerializer,
    DeviceSerializer,
    EnrolmentKeySerializer,
    HealthCheckSerializer,
    MaintenanceSerializer,
    RegisteredDeviceSerializer,
    SiteDeviceSerializer,
    StatusChangeSerializer,
    TransferSerializer,
)
from homepot.compiled import Asked
from homepot.rows import pk_of
from homepot.viewsets import ResourceViewSet, StrictViewSet, creates, reads
from sites.models import Site
from sites.services import make_enrolment_key, revoke_enrolment_key
from sites.views import find_site


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
        # As stored, which an index has in order: one that fell silent, and shows so at once,
        # takes its new place when a sweep has stored it.
        "status_since": "status_since",
    }
    queryset = Device.objects.none()  # tells the schema the model

    @classmethod
    def rows(cls, asked: Asked) -> DeviceQuerySet:
        return Device.objects.active().visible_to(asked.user).with_status(asked.now)

    @extend_schema(responses={201: RegisteredDeviceSerializer})
    @creates
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().create(request)

    def made(self, data: Any) -> dict[str, Any]:
        device, key = services.register_device(actor=self.actor, **self.checked(data))
        return {**self.row_of(pk=device.pk), "api_key": key}

    def perform_update(self, instance: Device, fields: dict[str, Any]) -> None:
        services.update_device(device=instance, actor=self.actor, **fields)

    def perform_destroy(self, instance: Device) -> None:
        services.retire_device(device=instance, actor=self.actor)

    @extend_schema(request=None, responses=DeviceSerializer)
    @action(detail=True, methods=["post"])
    def suspend(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Let the device speak no more until it is resumed."""
        return self.shown(services.suspend_device(device=self.target(), actor=self.actor))

    @extend_schema(request=None, responses=DeviceSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Let a suspended device check in again."""
        return self.shown(services.resume_device(device=self.target(), actor=self.actor))

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def retire(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Take the device out of use, as DELETE does."""
        services.retire_device(device=self.target(), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=RegisteredDeviceSerializer)
    @action(detail=True, methods=["post"], url_path="re-enrol")
    def re_enrol(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Give the place of a device, also a retired one, to a replaced machine: a new key."""
        self.body(request)
        every_device = Device.objects.visible_to(request.user).select_related("site")
        device = get_object_or_404(every_device, device_id=self.kwargs["device_id"])
        device, key = services.re_enrol_device(device=device, actor=self.actor)
        return self.registered(device, key, status.HTTP_200_OK)

    @extend_schema(request=TransferSerializer, responses=DeviceSerializer)
    @action(detail=True, methods=["post"], serializer_class=TransferSerializer)
    def transfer(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Move the device to another site; its keys and its history go with it."""
        device = self.target()
        site = self.checked(request.data)["site"]
        return self.shown(services.transfer_device(device=device, site=site, actor=self.actor))

    @extend_schema(request=MaintenanceSerializer, responses=DeviceSerializer)
    @action(detail=True, methods=["post"], serializer_class=MaintenanceSerializer)
    def maintenance(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Begin, move or end the device's maintenance."""
        device = self.target()
        until = self.checked(request.data)["until"]
        return self.shown(services.set_maintenance(device=device, until=until, actor=self.actor))

    @extend_schema(request=None, responses=RegisteredDeviceSerializer)
    @action(detail=True, methods=["post"], url_path="rotate-key")
    def rotate_key(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make a new key; the one in use ends when the new one is first used, or in a day."""
        device = self.target()
        key = services.rotate_key(device=device, actor=self.actor)
        return self.registered(device, key, status.HTTP_200_OK)

    @extend_schema(request=None, responses=DeviceSerializer)
    @action(detail=True, methods=["post"], url_path="revoke-keys")
    def revoke_keys(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """End every key of the device at once."""
        device = self.target()
        services.revoke_keys(device=device, actor=self.actor)
        return self.shown(device)

    def target(self) -> Device:
        """The device of the path, once the body has been read."""
        self.body(self.request)
        return self.get_object()

    def shown(self, device: Device) -> Response:
        self.serializer_class = DeviceSerializer
        return Response(self.row_of(pk=device.pk))

    def registered(self, device: Device, key: str, status_code: int) -> Response:
        self.serializer_class = DeviceSerializer
        return Response({**self.row_of(pk=device.pk), "api_key": key}, status=status_code)


class AtSiteViewSet(StrictViewSet):
    """What lies below the path of a site."""

    def site(self, site_id: str) -> Site:
        """Raises Http404 when the caller may not see it."""
        return find_site(self.asked(site_id=site_id))


class SiteDeviceViewSet(AtSiteViewSet):
    """The devices of one site."""

    resource_name = "devices"
    serializer_class = SiteDeviceSerializer
    access = READ_AND_OPERATE
    filterset_class = SiteDeviceFilter
    asks_before_creating = True  # for the site
    orderings = DeviceViewSet.orderings
    queryset = Device.objects.none()

    @classmethod
    def rows(cls, asked: Asked) -> DeviceQuerySet:
        site = pk_of(Site.objects.filter(site_id=asked["site_id"]))
        devices = Device.objects.active().visible_to(asked.user).filter(site=site)
        return devices.with_status(asked.now)

    @reads
    def list(self, request: Request, site_id: str) -> Any:
        page = self.page_of()
        if not page["devices"]:  # a device shows that its site exists
            self.site(site_id)
        return page

    @creates
    def create(self, request: Request, site_id: str) -> Response:
        return Response(self.made(self.body(request)), status=status.HTTP_201_CREATED)

    def made(self, data: Any) -> dict[str, Any]:
        site = self.site(self.kwargs["site_id"])
        device, key = services.register_device(site=site, actor=self.actor, **self.checked(data))
        return {**self.row_of(pk=device.pk), "api_key": key}


class EnrolmentKeyViewSet(AtSiteViewSet):
    """The key with which devices of one site let themselves in."""

    resource_name = "enrolment_key"
    serializer_class = EnrolmentKeySerializer
    access = READ_AND_OPERATE
    queryset = Site.objects.none()

    def create(self, request: Request, site_id: str) -> Response:
        data = self.body(request)
        site = self.site(site_id)
        expires_at = self.checked(data)["expires_at"]
        key = make_enrolment_key(site=site, expires_at=expires_at, actor=self.actor)
        answer = {"enrolment_key": key, "expires_at": expires_at}
        return Response(answer, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, site_id: str) -> Response:
        revoke_enrolment_key(site=self.site(site_id), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class DeviceHistoryViewSet(StrictViewSet):
    """What is known of one device, newest first."""

    access = READ
    ordering = "-at"
    orderings = {"at": "at"}

    @classmethod
    def rows(cls, asked: Asked) -> Any:
        device = pk_of(Device.objects.filter(device_id=asked["device_id"]))
        model: Any = cls.queryset.model
        return model.objects.visible_to(asked.user).filter(device=device)

    @reads
    def list(self, request: Request, device_id: str) -> Any:
        page = self.page_of()
        if not page[self.resource_name]:  # a row shows that its device exists
            self.device(device_id)
        return page

    def device(self, device_id: str) -> Device:
        """Raises Http404 when the caller may not see it."""
        devices = Device.objects.active().visible_to(self.request.user)
        return get_object_or_404(devices, device_id=device_id)


class HealthCheckViewSet(DeviceHistoryViewSet):
    """The health checks of one device. Posting one brings the device's status in line."""

    resource_name = "health_checks"
    serializer_class = HealthCheckSerializer
    access = READ_AND_OPERATE
    filterset_class = HealthCheckFilter
    ordering = "-checked_at"
    orderings = {"checked_at": "checked_at"}
    queryset = HealthCheck.objects.none()

    def create(self, request: Request, device_id: str) -> Response:
        data = self.body(request)
        device = self.device(device_id)
        check = services.record_health_check(device=device, report=Report(**self.checked(data)))
        row = self.row_of(pk=check.pk)
        return Response(row, status=status.HTTP_201_CREATED)


class StatusChangeViewSet(DeviceHistoryViewSet):
    """How the status of one device changed, and why."""

    resource_name = "status_changes"
    serializer_class = StatusChangeSerializer
    filterset_class = StatusChangeFilter
    queryset = StatusChange.objects.none()


class DeviceEventViewSet(DeviceHistoryViewSet):
    """What one device told of its own accord."""

    resource_name = "events"
    serializer_class = DeviceEventSerializer
    filterset_class = DeviceEventFilter
    queryset = DeviceEvent.objects.none()
