"""What agents send and get about their work, for the schema."""

from __future__ import annotations

from rest_framework import serializers

from devices.enums import DeviceStatus
from homepot.fields import ChoiceField
from jobs.enums import REPORTABLE_CHOICES, ExecutionStatus


class CommandSerializer(serializers.Serializer):
    command_id = serializers.UUIDField()
    command_type = serializers.CharField()
    payload = serializers.JSONField()
    attempt = serializers.IntegerField()
    lease_until = serializers.DateTimeField()
    created_at = serializers.DateTimeField()


class CheckedInSerializer(serializers.Serializer):
    status = serializers.CharField()
    device_id = serializers.CharField()
    device_status = serializers.ChoiceField(choices=DeviceStatus.choices)
    server_time = serializers.DateTimeField()
    next_check_in_seconds = serializers.IntegerField()
    commands = CommandSerializer(many=True)
    cancelled = serializers.ListField(child=serializers.UUIDField())


class PendingCommandSerializer(serializers.Serializer):
    command_id = serializers.UUIDField()
    command_type = serializers.CharField()
    payload = serializers.JSONField()
    status = serializers.ChoiceField(choices=ExecutionStatus.choices)
    created_at = serializers.DateTimeField()


class AcknowledgementSerializer(serializers.Serializer):
    attempt = serializers.IntegerField(
        required=False, help_text="As in the command; a later one refuses an earlier."
    )


class OutcomeSerializer(AcknowledgementSerializer):
    status = ChoiceField(choices=REPORTABLE_CHOICES)
    result = serializers.JSONField(required=False)
    error_code = serializers.CharField(required=False)
    error_message = serializers.CharField(required=False)
    executed_at = serializers.DateTimeField(required=False)


class DeviceTaskSerializer(serializers.Serializer):
    action = serializers.CharField(help_text="In the device's own words.")
    status = serializers.CharField(
        required=False, help_text="completed or failed; anything else is under way."
    )
    result = serializers.JSONField(required=False)
    error_message = serializers.CharField(required=False)
