"""What the audit log can be filtered by."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from audit.enums import AuditEvent, Outcome, Severity
from audit.models import AuditLog
from homepot.filters import ChoiceFilter, time_span


class AuditLogFilter(django_filters.FilterSet):
    event_type = ChoiceFilter(choices=AuditEvent.choices)
    actor = django_filters.CharFilter(
        field_name="actor_label", label="A username, a device's id, or system."
    )
    site = django_filters.CharFilter(method="filter_reference", label="The id of a site.")
    device = django_filters.CharFilter(method="filter_reference", label="The id of a device.")
    job = django_filters.CharFilter(method="filter_reference", label="The id of a job.")
    outcome = ChoiceFilter(choices=Outcome.choices)
    severity = ChoiceFilter(choices=Severity.choices)
    since, until = time_span("created_at")
    request_id = django_filters.CharFilter()

    class Meta:
        model = AuditLog
        fields: list[str] = []

    def filter_reference(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        # The key as one value, and not a join, lets the index of (key, time) give the order.
        related: Any = AuditLog._meta.get_field(name).related_model
        key = related.objects.filter(**{f"{name}_id": value}).order_by().values("pk")[:1]
        return queryset.filter(**{name: key})
