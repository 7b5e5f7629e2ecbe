"""What tables of several apps share."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from homepot.enums import ImportState, LineOutcome, LineVerdict

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


class DataImport(models.Model):
    """A file that somebody uploaded to change a list: see `homepot/spreadsheets/imports.py`."""

    # Which list, as in `settings.SHEETS`.
    sheet = models.CharField(max_length=50)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    filename = models.CharField(max_length=200)
    # Of the file, in its order: the columns that it changes, and those it takes no notice of.
    columns = models.JSONField(default=list)
    ignored_columns = models.JSONField(default=list)
    state = models.CharField(max_length=20, choices=ImportState, default=ImportState.READING)
    # Why it stopped.
    reason = models.CharField(max_length=500, blank=True)
    # How many lines are going to do what, and how many did.
    to_create = models.PositiveIntegerField(default=0)
    to_update = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    already = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    # Lines up to this one are done.
    applied_up_to = models.PositiveIntegerField(default=0)
    # Of the request that confirmed it, for the audit rows of all its steps.
    request_id = models.CharField(max_length=64, blank=True)
    ip_address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "data_imports"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ImportState.values), name="data_import_state_known"
            )
        ]
        indexes = [
            # The sweep that goes on with them, and the one that forgets old ones.
            models.Index(fields=["state", "confirmed_at"], name="data_import_by_state"),
            models.Index(fields=["created_at"], name="data_import_age"),
        ]

    def __str__(self) -> str:
        return f"{self.filename} for {self.sheet}"

    @property
    def to_do(self) -> int:
        return self.to_create + self.to_update

    @property
    def done(self) -> int:
        return self.created + self.updated + self.already + self.failed


class ImportLine(models.Model):
    """One line of an uploaded file, compared with what is stored."""

    data_import = models.ForeignKey(
        DataImport, models.CASCADE, related_name="lines", db_index=False
    )
    # In the file.
    number = models.PositiveIntegerField()
    # The id of the thing it is about, and its name.
    key = models.CharField(max_length=200, blank=True)
    label = models.CharField(max_length=200, blank=True)
    verdict = models.CharField(max_length=20, choices=LineVerdict)
    # Empty until it is applied, and for lines that were to do nothing.
    outcome = models.CharField(max_length=20, choices=LineOutcome, blank=True)
    # Why not.
    message = models.CharField(max_length=1000, blank=True)
    # By column: the value before, None for a new thing, and after.
    changes = models.JSONField(default=dict)

    class Meta:
        db_table = "import_lines"
        ordering = ["number"]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict__in=LineVerdict.values), name="import_line_verdict_known"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["", *LineOutcome.values]),
                name="import_line_outcome_known",
            ),
            # Also finds the lines of one import, in order.
            models.UniqueConstraint(fields=["data_import", "number"], name="import_line_once"),
        ]
        indexes = [
            # Those of a preview that do one thing.
            models.Index(fields=["data_import", "verdict", "number"], name="import_line_verdict"),
        ]

    def __str__(self) -> str:
        return f"line {self.number}"
