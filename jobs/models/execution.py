"""One device's share of a job; agents call it a command."""

from __future__ import annotations

from uuid import uuid4

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from homepot.models import TimestampedModel
from jobs.enums import FINAL, ExecutionStatus
from jobs.querysets import JobExecutionQuerySet


class JobExecution(TimestampedModel):
    """What one device is to do, and what became of it.

    Rows are moved by conditional updates in `jobs/services/` only.
    """

    execution_id = models.UUIDField(default=uuid4, unique=True, editable=False)
    job = models.ForeignKey("jobs.Job", models.PROTECT, related_name="executions", db_index=False)
    device = models.ForeignKey(
        "devices.Device", models.PROTECT, related_name="executions", db_index=False
    )
    status = models.CharField(
        max_length=20, choices=ExecutionStatus, default=ExecutionStatus.QUEUED
    )
    # The job's, so that one index holds a device's work in the order of its offering.
    priority = models.PositiveSmallIntegerField()
    # How often it was offered.
    attempt = models.PositiveSmallIntegerField(default=0)
    # From when on it may be offered, which is ahead for a scheduled job, and until when.
    queued_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    # When it was last offered; it is offered again when the lease runs out first.
    sent_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # When the device is to be told of it next; None: it knows all there is to know.
    offer_at = models.DateTimeField(null=True, blank=True)
    # When time alone will end it; None: it has ended.
    due_at = models.DateTimeField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)
    error_code = models.CharField(max_length=50, blank=True)
    error_message = models.TextField(blank=True)

    objects = JobExecutionQuerySet.as_manager()

    class Meta:
        db_table = "job_executions"
        verbose_name = "execution"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__one_of=ExecutionStatus.values), name="execution_status_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    status__one_of=sorted(FINAL),
                    finished_at__isnull=False,
                    offer_at=None,
                    due_at=None,
                )
                | (~Q(status__one_of=sorted(FINAL)) & Q(finished_at=None, due_at__isnull=False)),
                name="execution_final_or_due",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("queued_at")), name="execution_expires_after_queued"
            ),
            # The executions of one job; each device once.
            models.UniqueConstraint(fields=["job", "device"], name="execution_of_job_and_device"),
        ]
        indexes = [
            # A device asks for work: what is to be offered, in this order.
            models.Index(
                F("device"),
                F("priority").desc(),
                F("id"),
                condition=Q(offer_at__isnull=False),
                name="execution_to_offer",
            ),
            # And what it is to stop, however much is to be offered.
            models.Index(
                fields=["device"],
                condition=Q(cancel_requested_at__isnull=False, offer_at__isnull=False),
                name="execution_to_stop",
            ),
            # The sweep that ends what time ends.
            models.Index(
                fields=["due_at"], condition=Q(due_at__isnull=False), name="execution_due"
            ),
            # What is open at a device: its end when the device goes, open work in numbers.
            models.Index(
                fields=["device"], condition=Q(due_at__isnull=False), name="execution_open"
            ),
            # How many failed lately, in the numbers of the fleet.
            models.Index(
                fields=["finished_at"],
                condition=Q(status=ExecutionStatus.FAILED),
                name="execution_failed",
            ),
            # Executions, newest first, of a job and of a device.
            models.Index(fields=["job", "-created_at", "-id"], name="execution_job_newest"),
            models.Index(fields=["device", "-created_at", "-id"], name="execution_device_newest"),
        ]

    def __str__(self) -> str:
        return str(self.execution_id)
