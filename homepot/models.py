"""What tables of several apps share."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

# The largest value of an integer column of PostgreSQL; SQLite would take more.
MAX_INTEGER = 2**31 - 1


class TimestampedModel(models.Model):
    """A row that knows when it was made and last changed (aware, UTC)."""

    # A default and not auto_now_add: fixtures and imports bring times of their own.
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class ServicePulse(models.Model):
    """One row: when some process of the service was last alive.

    After the service itself was away, `grace_until` gives every device time to come back
    before any is called silent.
    """

    beat_at = models.DateTimeField()
    grace_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "service_pulse"

    def __str__(self) -> str:
        return f"alive at {self.beat_at:%F %T}"
