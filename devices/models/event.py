"""What agents tell of their own accord."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from devices.enums import EventKind
from devices.models.device import Device
from devices.querysets import DeviceEventQuerySet


class DeviceEvent(models.Model):
    """A log line, audit note, alert or configuration change that a device told of."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="events", db_index=False)
    kind = models.CharField(max_length=20, choices=EventKind)
    event_type = models.CharField(max_length=100, blank=True)
    severity = models.CharField(max_length=20, blank=True)
    message = models.TextField(blank=True)
    data = models.JSONField(null=True, blank=True)
    # The server's clock.
    at = models.DateTimeField(default=timezone.now)

    objects = DeviceEventQuerySet.as_manager()

    class Meta:
        db_table = "device_events"
        ordering = ["-at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=EventKind.values), name="device_event_kind_known"
            ),
        ]
        indexes = [
            # The events of one device, newest first; the newest of the fleet.
            models.Index(fields=["device", "-at", "-id"], name="device_event_history"),
            models.Index(fields=["-at", "-id"], name="device_event_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%F %T}"
