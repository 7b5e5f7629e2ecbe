"""JSON shapes of devices and their health."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from devices.enums import DeviceStatus
from devices.models import Device, DeviceEvent, HealthCheck, StatusChange, validate_mac_address
from homepot.fields import (
    JSONObjectField,
    StrictModelSerializer,
    UTCDateTimeField,
    validate_ahead,
)
from homepot.identifiers import validate_identifier
from homepot.text import MAX_TEXT_LENGTH
from sites.models import Site
from sites.querysets import SiteQuerySet


class MacAddressField(serializers.CharField):
    """A MAC address with colons or dashes; kept in lower case with colons."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).lower().replace("-", ":")


class SiteField(serializers.SlugRelatedField):
    """The text id of an active site that the caller may see."""

    row_source = "site__site_id"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="site_id", source="site", **kwargs)

    def get_queryset(self) -> SiteQuerySet:
        return Site.objects.active().visible_to(self.context["request"].user)


class DeviceSerializer(StrictModelSerializer):
    """What staff and programs see of a device; its secrets are elsewhere."""

    device_id = serializers.CharField(
        max_length=100,
        required=False,
        validators=[validate_identifier],
        help_text="Made by the server when it is not given; never changes.",
    )
    site_id = SiteField(queryset=Site.objects.none())
    mac_address = MacAddressField(
        required=False, allow_blank=True, max_length=17, validators=[validate_mac_address]
    )
    config = JSONObjectField(required=False)
    status = serializers.ChoiceField(
        choices=DeviceStatus.choices, source="current_status", read_only=True
    )
    status_reason = serializers.CharField(source="current_reason", read_only=True)
    status_since = UTCDateTimeField(source="current_since", read_only=True)
    create_only: tuple[str, ...] = ("device_id", "site_id")

    class Meta:
        model = Device
        fields = [
            "device_id",
            "site_id",
            "name",
            "device_type",
            "status",
            "status_reason",
            "status_since",
            "lifecycle_state",
            "ip_address",
            "mac_address",
            "firmware_version",
            "os_details",
            "config",
            "config_version",
            "desired_config_version",
            "permissions",
            "last_seen",
            "maintenance_until",
            "is_active",
            "is_simulated",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [
            "lifecycle_state",
            "config_version",
            "desired_config_version",
            "permissions",
            "last_seen",
            "maintenance_until",
            "is_active",
            "is_simulated",
            "created_at",
            "updated_at",
        ]
        # Uniqueness is the database's to decide: 409, not 400.
        validators: list[Any] = []


class SiteDeviceSerializer(DeviceSerializer):
    """A device below its site's path, which names the site."""

    site_id = serializers.CharField(  # type: ignore[assignment]
        source="site.site_id", read_only=True
    )
    create_only = ("device_id",)


class RegisteredDeviceSerializer(DeviceSerializer):
    """The answer to a registration."""

    api_key = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(DeviceSerializer.Meta):
        fields = [*DeviceSerializer.Meta.fields, "api_key"]


class TransferSerializer(serializers.Serializer):
    site_id = SiteField(queryset=Site.objects.none())


class MaintenanceSerializer(serializers.Serializer):
    until = UTCDateTimeField(
        allow_null=True, help_text="When it ends; null, or a time past, ends it now."
    )


class EnrolmentKeySerializer(serializers.Serializer):
    enrolment_key = serializers.CharField(read_only=True, help_text="Shown this once.")
    expires_at = UTCDateTimeField(
        required=False,
        allow_null=True,
        default=None,
        validators=[validate_ahead],
        help_text="Null: until it is revoked.",
    )


class StatusChangeSerializer(StrictModelSerializer):
    """A device's status became another one."""

    class Meta:
        model = StatusChange
        fields = ["id", "old_status", "new_status", "reason", "evidence", "at"]


class DeviceEventSerializer(StrictModelSerializer):
    """What a device told of its own accord."""

    class Meta:
        model = DeviceEvent
        fields = ["id", "kind", "event_type", "severity", "message", "data", "at"]


class HealthCheckSerializer(StrictModelSerializer):
    """One check-in of a device, or one probe of it."""

    device_id = serializers.CharField(source="device.device_id", read_only=True)

    class Meta:
        model = HealthCheck
        fields = [
            "id",
            "device_id",
            "is_healthy",
            "response_time_ms",
            "status_code",
            "endpoint",
            "response_data",
            "error_message",
            "checked_at",
            "reported_at",
        ]
        read_only_fields = ["checked_at"]
        extra_kwargs = {"error_message": {"max_length": MAX_TEXT_LENGTH}}


class DeviceHealthSerializer(serializers.Serializer):
    """One device in its site's health."""

    device_id = serializers.CharField()
    name = serializers.CharField()
    type = serializers.CharField()
    status = serializers.ChoiceField(choices=DeviceStatus.choices)
    ip_address = serializers.IPAddressField(allow_null=True)
    last_seen = UTCDateTimeField(allow_null=True)


class SiteHealthSerializer(serializers.Serializer):
    """The answer of /health/sites/{site_id}/health."""

    site_id = serializers.CharField()
    total_devices = serializers.IntegerField()
    healthy_devices = serializers.IntegerField()
    offline_devices = serializers.IntegerField()
    error_devices = serializers.IntegerField()
    maintenance_devices = serializers.IntegerField()
    unknown_devices = serializers.IntegerField()
    health_percentage = serializers.FloatField(help_text="0-100; 0 without devices.")
    status_summary = serializers.CharField(help_text='Such as "4/5 terminals healthy".')
    devices = DeviceHealthSerializer(many=True)
    last_updated = UTCDateTimeField(help_text="When the newest of these facts came about.")


class LastDaySerializer(serializers.Serializer):
    checks = serializers.IntegerField()
    unhealthy_checks = serializers.IntegerField()
    availability_percentage = serializers.FloatField(
        allow_null=True, help_text="Of the time it was known: 0-100; null before the first check."
    )


class DeviceHealthAnswerSerializer(serializers.Serializer):
    """The answer of /health/devices/{device_id}/health."""

    device_id = serializers.CharField()
    site_id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=DeviceStatus.choices)
    status_reason = serializers.CharField()
    status_since = UTCDateTimeField()
    last_seen = UTCDateTimeField(allow_null=True)
    last_check = HealthCheckSerializer(allow_null=True)
    last_24_hours = LastDaySerializer()


class FleetSiteSerializer(serializers.Serializer):
    site_id = serializers.CharField()
    name = serializers.CharField()
    total_devices = serializers.IntegerField()
    healthy_devices = serializers.IntegerField()
    offline_devices = serializers.IntegerField()
    error_devices = serializers.IntegerField()
    maintenance_devices = serializers.IntegerField()
    unknown_devices = serializers.IntegerField()
    health_percentage = serializers.FloatField()
    status_summary = serializers.CharField()


class FleetHealthSerializer(serializers.Serializer):
    """The answer of /health/fleet: the whole fleet, and its sites, the worst first."""

    total_devices = serializers.IntegerField()
    healthy_devices = serializers.IntegerField()
    offline_devices = serializers.IntegerField()
    error_devices = serializers.IntegerField()
    maintenance_devices = serializers.IntegerField()
    unknown_devices = serializers.IntegerField()
    health_percentage = serializers.FloatField()
    sites = FleetSiteSerializer(many=True)
