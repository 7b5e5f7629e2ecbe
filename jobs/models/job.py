"""What operators want done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from homepot.identifiers import validate_identifier
from homepot.models import MAX_INTEGER, TimestampedModel
from jobs.enums import OPEN_JOB, JobAction, JobPriority, JobStatus
from jobs.querysets import JobQuerySet

DAY_SECONDS = 86_400


class Job(TimestampedModel):
    """One action for one device, a segment of a site, a site, or chosen devices of several."""

    job_id = models.CharField(max_length=100, unique=True, validators=[validate_identifier])
    # None: devices of several sites.
    site = models.ForeignKey(
        "sites.Site", models.PROTECT, null=True, blank=True, related_name="jobs", db_index=False
    )
    # Set when the job is for this device alone.
    device = models.ForeignKey(
        "devices.Device", models.PROTECT, null=True, blank=True, related_name="jobs"
    )
    segment = models.CharField(max_length=100, blank=True)
    # How the devices were chosen.
    target = models.JSONField(default=dict, blank=True)
    action = models.CharField(max_length=50, choices=JobAction)
    description = models.TextField(blank=True)
    priority = models.PositiveSmallIntegerField(choices=JobPriority, default=JobPriority.NORMAL)
    status = models.CharField(max_length=20, choices=JobStatus, default=JobStatus.PENDING)
    payload = models.JSONField(default=dict, blank=True)
    config_url = models.URLField(max_length=500, blank=True)
    config_version = models.CharField(max_length=50, blank=True)
    # From release to the last moment a device may begin; from beginning to being given up.
    ttl_seconds = models.PositiveIntegerField(
        default=DAY_SECONDS, validators=[MinValueValidator(1), MaxValueValidator(MAX_INTEGER)]
    )
    timeout_seconds = models.PositiveIntegerField(
        default=3600, validators=[MinValueValidator(1), MaxValueValidator(MAX_INTEGER)]
    )
    max_attempts = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    collapse_key = models.CharField(max_length=100, blank=True)
    scheduled_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    # How many devices stand where.
    total = models.PositiveIntegerField(default=0)
    open = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    expired = models.PositiveIntegerField(default=0)
    superseded = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True, blank=True)
    error_message = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    retry_of = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="retries"
    )

    # Of one that was written just now and is as it was written: its JSON as readers will see it.
    json_as_stored: Mapping[str, Any] | None = None

    objects = JobQuerySet.as_manager()

    class Meta:
        db_table = "jobs"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(action__one_of=JobAction.values), name="job_action_known"
            ),
            models.CheckConstraint(
                condition=Q(priority__in=JobPriority.values), name="job_priority_known"
            ),
            models.CheckConstraint(
                condition=Q(status__one_of=JobStatus.values), name="job_status_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    total=F("open")
                    + F("completed")
                    + F("failed")
                    + F("cancelled")
                    + F("expired")
                    + F("superseded")
                ),
                name="job_counters_add_up",
            ),
            models.CheckConstraint(
                condition=Q(ttl_seconds__gte=1, timeout_seconds__gte=1, max_attempts__gte=1),
                name="job_limits_positive",
            ),
        ]
        indexes = [
            # Jobs, newest first, of all sites and of one.
            models.Index(fields=["-created_at", "-id"], name="job_newest"),
            models.Index(fields=["site", "-created_at", "-id"], name="job_site_newest"),
            # Jobs in one state, newest first.
            models.Index(fields=["status", "-created_at", "-id"], name="job_status_newest"),
            # The sweep that releases scheduled jobs.
            models.Index(
                fields=["scheduled_at"],
                condition=Q(status=JobStatus.PENDING),
                name="job_scheduled",
            ),
            # A new job looks for those with its collapse_key that it replaces.
            models.Index(
                fields=["collapse_key"],
                condition=~Q(collapse_key="") & Q(status__in=sorted(OPEN_JOB)),
                name="job_to_collapse",
            ),
        ]

    def __str__(self) -> str:
        return self.job_id
