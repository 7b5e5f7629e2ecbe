"""JSON shapes of jobs and executions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from devices.filters import DeviceFilter
from devices.models import Device
from devices.querysets import DeviceQuerySet
from homepot.fields import (
    EARLIEST_YEAR,
    LATEST_YEAR,
    ChoiceField,
    JSONObjectField,
    StrictModelSerializer,
    UTCDateTimeField,
)
from homepot.text import MAX_TEXT_LENGTH
from jobs.enums import ORDERED_ACTIONS, ExecutionStatus, JobPriority
from jobs.models import Job, JobExecution
from jobs.schedule import site_time
from jobs.targets import SEGMENTS, Target
from sites.models import Site

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_DEVICE_IDS = 10_000
MAX_SITE_IDS = 2_000
# A time so little past may be a slow clock's.
LATE = timedelta(minutes=5)
ONE_SITE = "Times on a site's clock are for jobs of one site; send scheduled_at instead."
HTTP_URL = "http(s) only; devices fetch it, the server never does."


@extend_schema_field({"type": "string", "enum": JobPriority.labels})
class PriorityField(serializers.Field):
    """A number in the database, a word in JSON."""

    def to_representation(self, value: int) -> str:
        return JobPriority(value).label

    def to_internal_value(self, data: Any) -> JobPriority:
        for priority in JobPriority:
            if data == priority.label:
                return priority
        raise serializers.ValidationError(f"Choose one of {', '.join(JobPriority.labels)}.")


@extend_schema_field(OpenApiTypes.STR)
class WallTimeField(serializers.Field):
    """A date and time without an offset, as the clock of the site shows it."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            time = datetime.fromisoformat(data)
        except (TypeError, ValueError):
            raise serializers.ValidationError("Send a time such as 2026-01-31T03:00.") from None
        if time.tzinfo is not None:
            raise serializers.ValidationError(
                "This is a time on the site's clock, without an offset; send scheduled_at instead."
            )
        if not EARLIEST_YEAR <= time.year <= LATEST_YEAR:
            raise serializers.ValidationError(
                UTCDateTimeField.default_error_messages["out_of_range"]
            )
        return time


class JobSerializer(StrictModelSerializer):
    """One action for one or many devices, and how far it is."""

    site_id = serializers.CharField(source="site.site_id", read_only=True, allow_null=True)
    device_id = serializers.CharField(source="device.device_id", read_only=True, allow_null=True)
    priority = PriorityField(required=False)
    payload = JSONObjectField(required=False)
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, allow_null=True
    )
    retry_of = serializers.CharField(source="retry_of.job_id", read_only=True, allow_null=True)

    class Meta:
        model = Job
        fields = [
            "job_id",
            "site_id",
            "device_id",
            "segment",
            "target",
            "action",
            "description",
            "priority",
            "status",
            "payload",
            "config_url",
            "config_version",
            "ttl_seconds",
            "timeout_seconds",
            "max_attempts",
            "collapse_key",
            "scheduled_at",
            "released_at",
            "started_at",
            "completed_at",
            "cancel_requested_at",
            "total",
            "open",
            "completed",
            "failed",
            "cancelled",
            "expired",
            "superseded",
            "result",
            "error_message",
            "created_by",
            "retry_of",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [
            "job_id",
            "target",
            "status",
            "released_at",
            "started_at",
            "completed_at",
            "cancel_requested_at",
            "total",
            "open",
            "completed",
            "failed",
            "cancelled",
            "expired",
            "superseded",
            "result",
            "error_message",
            "created_at",
            "updated_at",
        ]
        extra_kwargs = {"description": {"max_length": MAX_TEXT_LENGTH}}


class ListedJobSerializer(JobSerializer):
    """A job in a list: without what may be long."""

    class Meta(JobSerializer.Meta):
        fields = [
            name
            for name in JobSerializer.Meta.fields
            if name not in ("payload", "target", "result")
        ]


class DeviceFilterField(JSONObjectField):
    """What the list of devices can be filtered by, and `site_ids`."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        given = super().to_internal_value(data)
        known = {*DeviceFilter.base_filters, "site_ids"}
        errors = {name: ["This filter is not known."] for name in sorted(set(given) - known)}
        if not given:
            raise serializers.ValidationError(
                'Name a filter; for every device send "segment": "all".'
            )
        site_ids = given.get("site_ids")
        if "site_ids" in given and not (
            isinstance(site_ids, list)
            and 1 <= len(site_ids) <= MAX_SITE_IDS
            and all(isinstance(site_id, str) for site_id in site_ids)
        ):
            errors["site_ids"] = [f"Send 1 to {MAX_SITE_IDS} ids of sites."]
        parameters = {name: value for name, value in given.items() if name != "site_ids"}
        for name, value in parameters.items():
            if not isinstance(value, str) or not value.strip():
                # A blank one would filter nothing: every device instead of some.
                errors.setdefault(name, ["Send text that is not blank."])
        if not errors:
            form = DeviceFilter(parameters, Device.objects.none()).form
            errors = {name: list(map(str, messages)) for name, messages in form.errors.items()}
        if errors:
            raise serializers.ValidationError(errors)
        return given


class NewJobSerializer(JobSerializer):
    """A job for devices of a site, or with no `site_id` of any."""

    action = ChoiceField(choices=ORDERED_ACTIONS)
    config_url = serializers.URLField(
        required=False, allow_blank=True, max_length=500, help_text=HTTP_URL
    )
    site_id = serializers.CharField(required=False, write_only=True)
    device_id = serializers.CharField(required=False, write_only=True)
    segment = ChoiceField(choices=list(SEGMENTS), required=False)
    device_ids = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        write_only=True,
        allow_empty=False,
        max_length=MAX_DEVICE_IDS,
    )
    filter = DeviceFilterField(required=False, write_only=True)
    scheduled_at = UTCDateTimeField(required=False, allow_null=True)
    scheduled_local = WallTimeField(
        required=False,
        write_only=True,
        help_text="On the site's clock, such as 2026-01-31T03:00; instead of scheduled_at.",
    )

    class Meta(JobSerializer.Meta):
        fields = [*JobSerializer.Meta.fields, "device_ids", "filter", "scheduled_local"]

    def to_internal_value(self, data: Any) -> Any:
        # A misspelt "segment" would order for the whole site.
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields) - {"site_id"})
            if unknown:
                raise serializers.ValidationError(
                    {name: ["This field is not known."] for name in unknown}
                )
            site = self.context.get("site")
            if site is not None and data.get("site_id") not in (None, site.site_id):
                raise serializers.ValidationError({"site_id": ["The path names another site."]})
        return super().to_internal_value(data)

    def validate_config_url(self, value: str) -> str:
        if value and not value.lower().startswith(("http://", "https://")):
            raise serializers.ValidationError("Send a URL that begins with http:// or https://.")
        return value

    def validate_payload(self, value: dict[str, Any]) -> dict[str, Any]:
        if len(orjson.dumps(value)) > MAX_PAYLOAD_BYTES:
            raise serializers.ValidationError(f"Send at most {MAX_PAYLOAD_BYTES // 1024} KiB.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """`target` in place of the fields that choose devices, and one time of release."""
        attrs = super().validate(attrs)
        # The one of the path, where the path names one.
        site = self.context.get("site")
        names = ("device_id", "device_ids", "segment", "filter")
        chosen = {name: attrs.pop(name) for name in names if name in attrs}
        site_id = attrs.pop("site_id", None)
        if len(chosen) > 1:
            raise serializers.ValidationError(
                {name: ["Choose devices in one way only."] for name in sorted(chosen)[1:]}
            )
        if site is None and site_id is not None:
            site = self._known(Site.objects.active(), "site_id", site_id)
        if site is None and not chosen:
            raise serializers.ValidationError(
                {"device_ids": ["Say for which devices: device_ids, filter, segment or site_id."]}
            )
        if site is not None and "filter" in chosen:
            raise serializers.ValidationError({"filter": ["A filter is for jobs of any site."]})
        attrs["target"] = self._target(site, chosen)
        if wall_time := attrs.pop("scheduled_local", None):
            if attrs.get("scheduled_at"):
                raise serializers.ValidationError({"scheduled_local": ["Send one time only."]})
            place = site or (attrs["target"].device and attrs["target"].device.site)
            if place is None:
                raise serializers.ValidationError({"scheduled_local": [ONE_SITE]})
            attrs["scheduled_at"] = site_time(wall_time, place.timezone)
        scheduled_at = attrs.get("scheduled_at")
        if scheduled_at is not None and scheduled_at < timezone.now() - LATE:
            field = "scheduled_local" if wall_time else "scheduled_at"
            raise serializers.ValidationError({field: ["This is past. Without a time: at once."]})
        return attrs

    def _target(self, site: Site | None, chosen: dict[str, Any]) -> Target:
        if device_id := chosen.get("device_id"):
            devices = self._devices(site).select_related("site")
            return Target(site=site, device=self._known(devices, "device_id", device_id))
        if device_ids := chosen.get("device_ids"):
            named = self._devices(site).filter(device_id__in=device_ids)
            found = set(named.values_list("device_id", flat=True))
            if missing := [name for name in dict.fromkeys(device_ids) if name not in found]:
                more = ", ..." if len(missing) > 10 else ""
                raise serializers.ValidationError(
                    {"device_ids": [f"Not found: {', '.join(missing[:10])}{more}."]}
                )
            return Target(site=site, device_ids=list(dict.fromkeys(device_ids)))
        return Target(site=site, segment=chosen.get("segment", ""), filter=chosen.get("filter", {}))

    def _devices(self, site: Site | None) -> DeviceQuerySet:
        devices = Device.objects.active().visible_to(self.context["request"].user)
        return devices if site is None else devices.filter(site=site)

    def _known(self, rows: Any, name: str, value: str) -> Any:
        row = rows.visible_to(self.context["request"].user).filter(**{name: value}).first()
        if row is None:
            raise serializers.ValidationError({name: [f"Not found: {value}."]})
        return row


class SiteJobSerializer(NewJobSerializer):
    """A job below its site's path, which names the site."""

    class Meta(NewJobSerializer.Meta):
        fields = [
            name for name in NewJobSerializer.Meta.fields if name not in ("site_id", "filter")
        ]


class ExecutionSerializer(StrictModelSerializer):
    """One device's share of a job."""

    job_id = serializers.CharField(source="job.job_id", read_only=True)
    action = serializers.CharField(source="job.action", read_only=True)
    device_id = serializers.CharField(source="device.device_id", read_only=True)
    status = serializers.ChoiceField(
        choices=ExecutionStatus.choices, source="current_status", read_only=True
    )

    class Meta:
        model = JobExecution
        fields = [
            "execution_id",
            "job_id",
            "action",
            "device_id",
            "status",
            "attempt",
            "queued_at",
            "expires_at",
            "sent_at",
            "lease_until",
            "acknowledged_at",
            "cancel_requested_at",
            "finished_at",
            "result",
            "error_code",
            "error_message",
            "created_at",
            "updated_at",
        ]


class OpenWorkSerializer(serializers.Serializer):
    """How much work is under way: executions by status, and jobs that have not ended."""

    open = serializers.IntegerField()
    queued = serializers.IntegerField()
    sent = serializers.IntegerField()
    acknowledged = serializers.IntegerField()
    devices = serializers.IntegerField(help_text="How many devices have open work.")
    jobs = serializers.IntegerField()


class SiteWorkSerializer(OpenWorkSerializer):
    site_id = serializers.CharField()


class FleetWorkSerializer(OpenWorkSerializer):
    """The whole fleet's, and the sites that have open work, most first."""

    failed_last_24_hours = serializers.IntegerField()
    sites = SiteWorkSerializer(many=True)
