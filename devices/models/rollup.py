"""Sums over health checks: what charts and availability read, and what stays of old checks."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from devices.models.device import Device

# Response times are counted by the first of these that is not below them.
RESPONSE_BUCKETS_MS = (25, 50, 100, 250, 500, 1000, 2500, 5000)


class HealthRollup(models.Model):
    """The checks of one device in one hour, by the server's clock.

    Loads are percentages. A maximum is 0 where nothing was counted.
    """

    device = models.ForeignKey(Device, models.PROTECT, related_name="rollups", db_index=False)
    # When the hour begins.
    hour = models.DateTimeField()
    checks = models.PositiveIntegerField()
    unhealthy = models.PositiveIntegerField()
    response_count = models.PositiveIntegerField()
    response_ms_sum = models.PositiveBigIntegerField()
    response_ms_max = models.PositiveIntegerField()
    cpu_count = models.PositiveIntegerField()
    cpu_sum = models.FloatField()
    cpu_max = models.FloatField()
    memory_count = models.PositiveIntegerField()
    memory_sum = models.FloatField()
    memory_max = models.FloatField()
    disk_count = models.PositiveIntegerField()
    disk_sum = models.FloatField()
    disk_max = models.FloatField()

    class Meta:
        db_table = "health_rollups"
        ordering = ["-hour", "-id"]
        constraints = [
            # Also finds the hours of one device, in order.
            models.UniqueConstraint(fields=["device", "hour"], name="health_rollup_once"),
        ]

    def __str__(self) -> str:
        return f"{self.checks} checks in the hour of {self.hour:%F %R}"


class SiteMinute(models.Model):
    """The checks of one site's devices in one minute, with a histogram of response times.

    Each check with a response time is counted in one of the columns `up_to_..._ms` and
    `over_5000_ms`.
    """

    site = models.ForeignKey("sites.Site", models.PROTECT, related_name="minutes", db_index=False)
    # When the minute begins.
    minute = models.DateTimeField()
    checks = models.PositiveIntegerField()
    unhealthy = models.PositiveIntegerField()
    up_to_25_ms = models.PositiveIntegerField()
    up_to_50_ms = models.PositiveIntegerField()
    up_to_100_ms = models.PositiveIntegerField()
    up_to_250_ms = models.PositiveIntegerField()
    up_to_500_ms = models.PositiveIntegerField()
    up_to_1000_ms = models.PositiveIntegerField()
    up_to_2500_ms = models.PositiveIntegerField()
    up_to_5000_ms = models.PositiveIntegerField()
    over_5000_ms = models.PositiveIntegerField()

    class Meta:
        db_table = "site_minutes"
        ordering = ["-minute", "-id"]
        constraints = [
            # Also finds the minutes of one site, in order.
            models.UniqueConstraint(fields=["site", "minute"], name="site_minute_once"),
        ]
        indexes = [
            # The last hours of all sites, in charts.
            models.Index(fields=["minute"], name="site_minute_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.checks} checks in the minute of {self.minute:%F %R}"


class RollupProgress(models.Model):
    """One row: how far health checks, by id, are part of the rollups.

    Checks up to `ceiling` are next, once every transaction that began to write before
    `settled_after` has ended: see `devices/rollups.py`.
    """

    rolled_up_to = models.PositiveBigIntegerField(default=0)
    ceiling = models.PositiveBigIntegerField(default=0)
    settled_after = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "rollup_progress"
        constraints = [
            models.CheckConstraint(
                condition=Q(rolled_up_to__lte=models.F("ceiling")),
                name="rollup_within_ceiling",
            ),
        ]

    def __str__(self) -> str:
        return f"up to check {self.rolled_up_to}"
