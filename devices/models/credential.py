"""The keys with which devices speak."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from devices.models.device import Device


class DeviceCredential(models.Model):
    """A key of one device. After a rotation two are valid until the new one is first used."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="credentials")
    # SHA-256 of the key; the hint is its beginning, for people.
    key_digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # None: until it is revoked.
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # To the hour; None: never, and its first use ends the keys before it.
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "device_credentials"
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.hint}... of {self.device}"
