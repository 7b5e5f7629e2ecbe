"""The REST API of the audit log, which can only be read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.policy import READ
from audit.enums import AuditEvent
from audit.export import CONTENT_TYPES, ExportFormat, export_response
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
from homepot.compiled import Asked
from homepot.fields import ChoiceField
from homepot.viewsets import StrictViewSet, reads

STATISTICS_PERIOD = timedelta(days=30)


class AuditLogViewSet(StrictViewSet):
    """Who did what, newest first: all of it for admins, what is about one's sites for others."""

    resource_name = "logs"
    serializer_class = AuditLogSerializer
    filterset_class = AuditLogFilter
    access = READ
    queryset = AuditLog.objects.none()  # tells the schema the model

    @classmethod
    def rows(cls, asked: Asked) -> AuditLogQuerySet:
        return AuditLog.objects.visible_to(asked.user)

    def known_parameters(self) -> set[str]:
        match self.action:
            case "statistics":
                return set(PeriodSerializer().fields)
            case "export":
                return {"format", *AuditLogFilter.base_filters}
        return super().known_parameters()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # What an export looks like is said by `format`; Accept: text/csv is no mistake.
        return super().perform_content_negotiation(request, force or self.action == "export")

    @reads
    def list(self, request: Request) -> Any:
        return self.page_of()

    @extend_schema(parameters=[PeriodSerializer], responses=StatisticsSerializer, filters=False)
    def statistics(self, request: Request) -> Response:
        """How many rows there are, by event type, severity, outcome and day."""
        period = PeriodSerializer(data=request.query_params)
        period.is_valid(raise_exception=True)
        until = period.validated_data.get("until", timezone.now())
        since = period.validated_data.get("since", until - STATISTICS_PERIOD)
        if since > until:
            raise ValidationError({"since": ["This lies after `until`."]})
        return Response(count_rows(self.rows(self.asked()), since=since, until=until))

    @extend_schema(responses=EventTypesSerializer, filters=False)
    def event_types(self, request: Request) -> Response:
        """Everything the log can tell, with words for people."""
        return Response(
            {"event_types": [{"event_type": event, "name": event.label} for event in AuditEvent]}
        )

    @extend_schema(
        parameters=[
            OpenApiParameter("format", enum=ExportFormat.values, default=ExportFormat.CSV.value)
        ],
        responses={
            (200, content_type): OpenApiTypes.STR for content_type in CONTENT_TYPES.values()
        },
        filters=True,
    )
    def export(self, request: Request) -> StreamingHttpResponse:
        """All rows that the filters let through, as a file. Reading it is audited itself."""
        choice = ChoiceField(choices=ExportFormat.choices)
        try:
            format = choice.run_validation(request.query_params.get("format", ExportFormat.CSV))
        except ValidationError as error:
            raise ValidationError({"format": error.detail}) from None
        filters = request.query_params.dict()
        filters.pop("format", None)
        return export_response(
            self.filter_queryset(self.get_queryset()),
            format=ExportFormat(format),
            actor=self.actor,
            filters=filters,
        )
