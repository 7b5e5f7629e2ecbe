"""JSON shapes of the audit log."""

from __future__ import annotations

from rest_framework import serializers

from audit.enums import AuditEvent
from audit.models import AuditLog
from homepot.fields import StrictModelSerializer, UTCDateTimeField


class AuditLogSerializer(StrictModelSerializer):
    """One row, which nobody can write. Ids are null once the thing itself is gone."""

    site_id = serializers.CharField(source="site.site_id", allow_null=True)
    device_id = serializers.CharField(source="device.device_id", allow_null=True)
    job_id = serializers.CharField(source="job.job_id", allow_null=True)

    class Meta:
        model = AuditLog
        fields = [
            "id",
            "event_type",
            "description",
            "actor_kind",
            "actor_label",
            "site_id",
            "device_id",
            "job_id",
            "target_type",
            "target_label",
            "old_values",
            "new_values",
            "event_metadata",
            "request_id",
            "ip_address",
            "user_agent",
            "outcome",
            "severity",
            "created_at",
        ]
        read_only_fields = fields


class PeriodSerializer(serializers.Serializer):
    """The time that statistics are about."""

    since = UTCDateTimeField(required=False, help_text="30 days before `until` by default.")
    until = UTCDateTimeField(required=False, help_text="Now by default.")


class DayCountSerializer(serializers.Serializer):
    day = serializers.DateField(help_text="In UTC.")
    count = serializers.IntegerField()


class StatisticsSerializer(serializers.Serializer):
    """How many rows there are, counted four ways."""

    since = UTCDateTimeField()
    until = UTCDateTimeField()
    total = serializers.IntegerField()
    by_event_type = serializers.DictField(
        child=serializers.IntegerField(), help_text="The most frequent first."
    )
    by_severity = serializers.DictField(child=serializers.IntegerField())
    by_outcome = serializers.DictField(child=serializers.IntegerField())
    by_day = DayCountSerializer(many=True)


class EventTypeSerializer(serializers.Serializer):
    event_type = serializers.ChoiceField(choices=AuditEvent.choices)
    name = serializers.CharField(help_text="The same in words for people.")


class EventTypesSerializer(serializers.Serializer):
    event_types = EventTypeSerializer(many=True)
