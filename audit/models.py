"""The record of who did what."""

from __future__ import annotations

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone

from audit.enums import ActorKind, AuditEvent, Outcome, Severity
from audit.querysets import AuditLogQuerySet


def _reference(to: str) -> Any:
    """A reference that neither blocks the deletion of its target nor changes with it."""
    return models.ForeignKey(
        to,
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )


class AuditLog(models.Model):
    """One change, or one refusal, by one actor. Written by `audit.services.record` only."""

    event_type = models.CharField(max_length=50, choices=AuditEvent)
    description = models.TextField(blank=True)
    actor_kind = models.CharField(max_length=20, choices=ActorKind, default=ActorKind.SYSTEM)
    actor_label = models.CharField(max_length=100, blank=True)
    user = _reference("accounts.User")
    device = _reference("devices.Device")
    job = _reference("jobs.Job")
    site = _reference("sites.Site")
    target_type = models.CharField(max_length=50, blank=True)
    target_label = models.CharField(max_length=200, blank=True)
    old_values = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    new_values = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    event_metadata = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    request_id = models.CharField(max_length=64, blank=True)
    ip_address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=500, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome, default=Outcome.SUCCESS)
    severity = models.CharField(max_length=20, choices=Severity, default=Severity.INFO)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # What may be told only once: of two rows that give the same, the second is not written.
    dedupe_key = models.CharField(max_length=64, blank=True, editable=False)

    objects = AuditLogQuerySet.as_manager()

    class Meta:
        db_table = "audit_logs"
        verbose_name = "audit log entry"
        verbose_name_plural = "audit log"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(event_type__one_of=AuditEvent.values), name="audit_event_type_known"
            ),
            models.CheckConstraint(
                condition=Q(actor_kind__one_of=ActorKind.values), name="audit_actor_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(outcome__one_of=Outcome.values), name="audit_outcome_known"
            ),
            models.CheckConstraint(
                condition=Q(severity__one_of=Severity.values), name="audit_severity_known"
            ),
            models.UniqueConstraint(
                fields=["dedupe_key"], condition=~Q(dedupe_key=""), name="audit_told_once"
            ),
        ]
        indexes = [
            # The log, newest first, whole and by each thing it can be filtered by.
            models.Index(fields=["-created_at", "-id"], name="audit_newest"),
            models.Index(fields=["event_type", "-created_at", "-id"], name="audit_by_event"),
            models.Index(fields=["actor_label", "-created_at", "-id"], name="audit_by_actor"),
            models.Index(fields=["user", "-created_at", "-id"], name="audit_by_user"),
            models.Index(fields=["site", "-created_at", "-id"], name="audit_by_site"),
            models.Index(fields=["device", "-created_at", "-id"], name="audit_by_device"),
            models.Index(fields=["job", "-created_at", "-id"], name="audit_by_job"),
            models.Index(fields=["outcome", "-created_at", "-id"], name="audit_by_outcome"),
            models.Index(fields=["severity", "-created_at", "-id"], name="audit_by_severity"),
            # The history of an account, which no reference names.
            models.Index(fields=["target_label", "-created_at", "-id"], name="audit_by_target"),
            # All that one request changed.
            models.Index(fields=["request_id"], name="audit_by_request"),
            # The statistics of a time, which need nothing else of the rows.
            models.Index(
                fields=["created_at", "event_type", "severity", "outcome"],
                name="audit_statistics",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_event_type_display()} by {self.actor_label or self.actor_kind}"
