"""The REST API of the audit log, which can only be read."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.policy import READ
from audit.enums import AuditEvent
from audit.filters import AuditLogFilter
from audit.models import AuditLog
from audit.querysets import AuditLogQuerySet
from audit.serializers import (
    AuditLogSerializer,
    EventTypesSerializer,
    PeriodSerializer,
    StatisticsSerializer,
)
from audit.statistics import count_rows
from homepot.viewsets import StrictViewSet

STATISTICS_PERIOD = timedelta(days=30)


class AuditLogViewSet(StrictViewSet):
    """Who did what, newest first: all of it for admins, what is about one's sites for others."""

    resource_name = "logs"
    serializer_class = AuditLogSerializer
    filterset_class = AuditLogFilter
    access = READ
    queryset = AuditLog.objects.none()  # tells the schema the model

    def get_queryset(self) -> AuditLogQuerySet:
        return AuditLog.objects.visible_to(self.request.user)

    def known_parameters(self) -> set[str]:
        match self.action:
            case "statistics":
                return set(PeriodSerializer().fields)
        return super().known_parameters()

    def list(self, request: Request) -> Response:
        return Response(self.page_of(self.get_queryset()))

    @extend_schema(parameters=[PeriodSerializer], responses=StatisticsSerializer, filters=False)
    def statistics(self, request: Request) -> Response:
        """How many rows there are, by event type, severity, outcome and day."""
        period = PeriodSerializer(data=request.query_params)
        period.is_valid(raise_exception=True)
        until = period.validated_data.get("until", timezone.now())
        since = period.validated_data.get("since", until - STATISTICS_PERIOD)
        if since > until:
            raise ValidationError({"since": ["This lies after `until`."]})
        return Response(count_rows(self.get_queryset(), since=since, until=until))

    @extend_schema(responses=EventTypesSerializer, filters=False)
    def event_types(self, request: Request) -> Response:
        """Everything the log can tell, with words for people."""
        return Response(
            {"event_types": [{"event_type": event, "name": event.label} for event in AuditEvent]}
        )
