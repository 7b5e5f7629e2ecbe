"""Managed endpoints."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from devices.enums import DeviceStatus, DeviceType, LifecycleState
from devices.querysets import DeviceQuerySet
from homepot.identifiers import validate_identifier
from homepot.models import TimestampedModel
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
    # When a sweep looks next whether that time has come: not after it, and None where it is.
    # Every check-in moves the one above, which no index may have: PostgreSQL then leaves the
    # entries of the row in all indexes alone. The sweep lets this one follow.
    sweep_at = models.DateTimeField(null=True, blank=True)
    maintenance_until = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    is_simulated = models.BooleanField(default=False)

    objects = DeviceManager()

    class Meta:
        db_table = "devices"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(device_type__one_of=DeviceType.values), name="device_type_known"
            ),
            models.CheckConstraint(
                condition=Q(status__one_of=DeviceStatus.values), name="device_status_known"
            ),
            models.CheckConstraint(
                condition=Q(lifecycle_state__one_of=LifecycleState.values),
                name="device_lifecycle_state_known",
            ),
            models.CheckConstraint(
                condition=Q(lifecycle_state=LifecycleState.RETIRED, is_active=False)
                | (~Q(lifecycle_state=LifecycleState.RETIRED) & Q(is_active=True)),
                name="device_is_active_until_retired",
            ),
            models.CheckConstraint(
                condition=Q(sweep_at__isnull=True, status_due_at__isnull=True)
                | Q(
                    sweep_at__isnull=False,
                    status_due_at__isnull=False,
                    sweep_at__lte=F("status_due_at"),
                ),
                name="device_swept_when_due",
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
                fields=["sweep_at"], condition=Q(sweep_at__isnull=False), name="device_sweep"
            ),
        ]

    # As the caller of an API request, a device is somebody too: see accounts/policy.py.
    is_device = True
    is_authenticated = True
    is_anonymous = False

    def __str__(self) -> str:
        return f"{self.name} ({self.device_id})"

    def natural_key(self) -> tuple[str]:
        return (self.device_id,)

    natural_key.dependencies = ["sites.site"]  # type: ignore[attr-defined]
