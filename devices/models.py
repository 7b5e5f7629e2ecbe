"""Managed endpoints and what is known of their health."""

from __future__ import annotations

from datetime import datetime

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from devices.enums import DeviceStatus, DeviceType, LifecycleState
from devices.querysets import DeviceQuerySet, HealthCheckQuerySet
from homepot.identifiers import validate_identifier
from homepot.models import MAX_INTEGER, TimestampedModel
from homepot.text import validate_name

validate_mac_address = RegexValidator(
    r"^([0-9a-f]{2}:){5}[0-9a-f]{2}\Z", "Write a MAC address as 00:1a:2b:3c:4d:5e."
)


class DeviceManager(models.Manager.from_queryset(DeviceQuerySet)):  # type: ignore[misc]
    def get_by_natural_key(self, device_id: str) -> Device:
        return self.get(device_id=device_id)


class Device(TimestampedModel):
    """A machine at a site that reports its health."""

    site = models.ForeignKey("sites.Site", models.PROTECT, related_name="devices", db_index=False)
    device_id = models.CharField(max_length=100, unique=True, validators=[validate_identifier])
    name = models.CharField(max_length=100, validators=[validate_name])
    device_type = models.CharField(max_length=30, choices=DeviceType, default=DeviceType.UNKNOWN)
    # What the last check-in said; moved by check-ins and sweeps only.
    status = models.CharField(max_length=20, choices=DeviceStatus, default=DeviceStatus.UNKNOWN)
    status_reason = models.CharField(max_length=500, blank=True)
    status_since = models.DateTimeField(default=timezone.now)
    lifecycle_state = models.CharField(
        max_length=20, choices=LifecycleState, default=LifecycleState.PENDING
    )
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    mac_address = models.CharField(max_length=17, blank=True, validators=[validate_mac_address])
    firmware_version = models.CharField(max_length=50, blank=True)
    os_details = models.JSONField(null=True, blank=True)
    config = models.JSONField(default=dict, blank=True)
    # The version the device reports to run, and the one it should.
    config_version = models.CharField(max_length=50, blank=True)
    desired_config_version = models.CharField(max_length=50, blank=True)
    # What the device allows us, by name.
    permissions = models.JSONField(default=dict, blank=True)
    last_seen = models.DateTimeField(null=True, blank=True)
    # By the device's own clock; a report that is not newer is late.
    last_reported_at = models.DateTimeField(null=True, blank=True)
    last_check_healthy = models.BooleanField(null=True, blank=True)
    # Unhealthy checks in a row.
    bad_checks = models.PositiveIntegerField(default=0)
    # When time alone will change the status; None: never.
    status_due_at = models.DateTimeField(null=True, blank=True)
    maintenance_until = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    is_simulated = models.BooleanField(default=False)

    objects = DeviceManager()

    class Meta:
        db_table = "devices"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(device_type__in=DeviceType.values), name="device_type_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=DeviceStatus.values), name="device_status_known"
            ),
            models.CheckConstraint(
                condition=Q(lifecycle_state__in=LifecycleState.values),
                name="device_lifecycle_state_known",
            ),
            models.CheckConstraint(
                condition=Q(lifecycle_state=LifecycleState.RETIRED, is_active=False)
                | (~Q(lifecycle_state=LifecycleState.RETIRED) & Q(is_active=True)),
                name="device_is_active_until_retired",
            ),
            models.UniqueConstraint(
                fields=["site", "name"],
                condition=~Q(lifecycle_state=LifecycleState.RETIRED),
                name="device_name_unique_in_site",
            ),
        ]
        indexes = [
            # Lists of devices, newest first, by name, and by how long they have been so.
            models.Index(fields=["-created_at", "-id"], name="device_newest"),
            models.Index(fields=["name", "id"], name="device_by_name"),
            models.Index(fields=["status_since", "id"], name="device_by_status_since"),
            # The devices of one site, newest first; their health.
            models.Index(fields=["site", "-created_at", "-id"], name="device_site_newest"),
            models.Index(fields=["site", "status"], name="device_site_status"),
            # The sweep that turns silent devices offline.
            models.Index(
                fields=["status_due_at"],
                condition=Q(status_due_at__isnull=False),
                name="device_status_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.device_id})"

    def natural_key(self) -> tuple[str]:
        return (self.device_id,)

    natural_key.dependencies = ["sites.site"]  # type: ignore[attr-defined]

    def status_at(self, now: datetime) -> DeviceStatus:
        """The status at `now`, which time alone may have moved since it was stored."""
        if self.status_due_at is not None and self.status_due_at <= now:
            return DeviceStatus.OFFLINE
        return DeviceStatus(self.status)


class HealthCheck(models.Model):
    """One check-in of a device, or one probe of it. It never changes."""

    device = models.ForeignKey(Device, models.PROTECT, related_name="health_checks", db_index=False)
    is_healthy = models.BooleanField()
    response_time_ms = models.PositiveIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(MAX_INTEGER)]
    )
    status_code = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(100), MaxValueValidator(599)]
    )
    endpoint = models.CharField(max_length=200, blank=True)
    response_data = models.JSONField(null=True, blank=True)
    error_message = models.TextField(blank=True)
    # The server's clock when it came; the device's own when it was made.
    checked_at = models.DateTimeField(default=timezone.now)
    reported_at = models.DateTimeField(null=True, blank=True)
    # The gateway that sent it for the device.
    reported_by = models.ForeignKey(Device, models.PROTECT, null=True, blank=True, related_name="+")

    objects = HealthCheckQuerySet.as_manager()

    class Meta:
        db_table = "health_checks"
        ordering = ["-checked_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status_code__isnull=True)
                | Q(status_code__gte=100, status_code__lte=599),
                name="health_check_status_code_in_range",
            ),
        ]
        indexes = [
            # The history of one device, newest first.
            models.Index(fields=["device", "-checked_at", "-id"], name="health_check_history"),
            # All checks, newest first, in the admin.
            models.Index(fields=["-checked_at", "-id"], name="health_check_newest"),
        ]

    def __str__(self) -> str:
        return f"{'healthy' if self.is_healthy else 'unhealthy'} at {self.checked_at:%F %T}"
