"""What devices report of their health, and what became of their status."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from devices.enums import DeviceStatus
from devices.models.device import Device
from devices.querysets import HealthCheckQuerySet, StatusChangeQuerySet
from homepot.models import MAX_INTEGER


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
    reported_by = models.ForeignKey(
        Device, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )

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
            # A check that was sent again, as after a lost answer, is the same check.
            models.UniqueConstraint(
                fields=["device", "reported_at"],
                condition=Q(reported_at__isnull=False),
                name="health_check_reported_once",
            ),
        ]
        indexes = [
            # The history of one device, newest first.
            models.Index(fields=["device", "-checked_at", "-id"], name="health_check_history"),
            # All checks, newest first, in the admin.
            models.Index(fields=["-checked_at", "-id"], name="health_check_newest"),
            # What a gateway sent, when it is to be deleted. Most checks come from the device.
            models.Index(
                fields=["reported_by"],
                condition=Q(reported_by__isnull=False),
                name="health_check_reported_by",
            ),
        ]

    def __str__(self) -> str:
        return f"{'healthy' if self.is_healthy else 'unhealthy'} at {self.checked_at:%F %T}"


class StatusChange(models.Model):
    """A device's status became another one. It never changes."""

    device = models.ForeignKey(
        Device, models.PROTECT, related_name="status_changes", db_index=False
    )
    old_status = models.CharField(max_length=20, choices=DeviceStatus)
    new_status = models.CharField(max_length=20, choices=DeviceStatus)
    reason = models.CharField(max_length=500, blank=True)
    # The health check that showed it, by id: the check is pruned long before this row.
    evidence = models.BigIntegerField(null=True, blank=True)
    at = models.DateTimeField()

    objects = StatusChangeQuerySet.as_manager()

    class Meta:
        db_table = "device_status_changes"
        ordering = ["-at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(old_status__in=DeviceStatus.values, new_status__in=DeviceStatus.values),
                name="status_change_statuses_known",
            ),
        ]
        indexes = [
            # The history of one device, newest first; the newest changes of the fleet.
            models.Index(fields=["device", "-at", "-id"], name="status_change_history"),
            models.Index(fields=["-at", "-id"], name="status_change_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.old_status} to {self.new_status} at {self.at:%F %T}"
