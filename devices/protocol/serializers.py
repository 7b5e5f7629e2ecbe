"""JSON shapes of what agents send and get; reading is lenient, see `devices/reports.py`."""

from __future__ import annotations

from rest_framework import serializers

from devices.enums import DeviceType
from homepot.fields import ChoiceField
from homepot.text import validate_name


class ProvisionSerializer(serializers.Serializer):
    site_id = serializers.CharField(max_length=50)
    bootstrap_key = serializers.CharField(
        max_length=200, trim_whitespace=False, help_text="The site's enrolment key."
    )
    device_name = serializers.CharField(max_length=100, validators=[validate_name])
    device_type = ChoiceField(
        choices=DeviceType.choices, default=DeviceType.UNKNOWN, allow_null=True
    )
    os_details = serializers.JSONField(required=False, allow_null=True)
    provisioning_source = serializers.CharField(
        max_length=50, required=False, allow_blank=True, allow_null=True
    )


class CheckInSerializer(serializers.Serializer):
    is_healthy = serializers.BooleanField(default=True)
    response_time_ms = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    status_code = serializers.IntegerField(
        required=False, allow_null=True, min_value=100, max_value=599
    )
    endpoint = serializers.CharField(required=False, allow_null=True)
    response_data = serializers.JSONField(required=False, allow_null=True)
    error_message = serializers.CharField(required=False, allow_null=True)
    firmware_version = serializers.CharField(required=False, allow_null=True)
    config_version = serializers.CharField(required=False, allow_null=True)
    reported_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="By the device's own clock."
    )


class HeartbeatSerializer(serializers.Serializer):
    device_id = serializers.CharField(required=False)
    timestamp = serializers.DateTimeField(required=False)


class BatchEntrySerializer(CheckInSerializer):
    device_id = serializers.CharField(
        required=False, help_text="A device of the gateway's site; the caller without it."
    )


class BatchSerializer(serializers.Serializer):
    check_ins = BatchEntrySerializer(many=True)


class RejectedSerializer(serializers.Serializer):
    index = serializers.IntegerField()
    detail = serializers.CharField()


class BatchAnswerSerializer(serializers.Serializer):
    accepted = serializers.IntegerField()
    rejected = RejectedSerializer(many=True)


class TelemetrySerializer(serializers.Serializer):
    """One sample; a list of them is taken too."""

    cpu_usage = serializers.FloatField(required=False, min_value=0, max_value=100)
    memory_usage = serializers.FloatField(required=False, min_value=0, max_value=100)
    disk_usage = serializers.FloatField(required=False, min_value=0, max_value=100)
    network_latency_ms = serializers.FloatField(required=False, min_value=0)
    uptime_seconds = serializers.FloatField(required=False, min_value=0)
    timestamp = serializers.DateTimeField(required=False)


class DeviceDnaSerializer(serializers.Serializer):
    device_id = serializers.CharField(required=False)
    mac_address = serializers.CharField(required=False)
    os_details = serializers.JSONField(required=False)
    local_ip = serializers.IPAddressField(required=False)
    wan_ip = serializers.IPAddressField(required=False)
    firmware_version = serializers.CharField(required=False)
    peripherals = serializers.JSONField(required=False)


class PermissionsSerializer(serializers.Serializer):
    permissions = serializers.DictField(
        child=serializers.BooleanField(allow_null=True), allow_null=True, default=dict
    )


class EventSerializer(serializers.Serializer):
    """One event; a list of them is taken too."""

    event_type = serializers.CharField(required=False)
    severity = serializers.CharField(required=False)
    message = serializers.CharField(required=False)


class AnswerSerializer(serializers.Serializer):
    status = serializers.CharField()
    message = serializers.CharField(required=False)
    data = serializers.DictField(required=False)  # type: ignore[assignment]


class PushesSerializer(serializers.Serializer):
    pushes = serializers.ListField(child=serializers.DictField())
