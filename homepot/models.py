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


class Sweep(models.Model):
    """When a sweep last ran and what came of it; its lease keeps workers from running it twice.

    `name` is where the function is, as in `settings.SWEEPS`.
    """

    name = models.CharField(max_length=200, unique=True)
    # None: no worker is at it. The lease of a worker that was killed runs out.
    lease_until = models.DateTimeField(null=True, blank=True)
    holder = models.CharField(max_length=300, blank=True)
    last_started_at = models.DateTimeField(null=True, blank=True)
    # When it last succeeded, how long that took and how much it did.
    last_finished_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    last_count = models.PositiveIntegerField(null=True, blank=True)
    # Empty when the last run succeeded.
    last_error = models.TextField(blank=True)
    runs = models.PositiveBigIntegerField(default=0)
    # For a sweep that walks a table by id: where its next run goes on.
    mark = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "sweeps"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class IdempotencyKey(models.Model):
    """What was answered to a request that its sender may have to send again."""

    # Who sent it, such as "user 7"; a key is theirs alone.
    principal = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    # Of method, path and body.
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "idempotency_keys"
        constraints = [
            models.UniqueConstraint(fields=["principal", "key"], name="idempotency_key_unique")
        ]
        indexes = [
            # The sweep that forgets old ones.
            models.Index(fields=["created_at"], name="idempotency_key_age")
        ]

    def __str__(self) -> str:
        return f"{self.principal}: {self.key}"
