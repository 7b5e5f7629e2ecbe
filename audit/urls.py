from __future__ import annotations

from django.urls import re_path

from audit.views import AuditLogViewSet

urlpatterns = [
    re_path(r"^logs/?$", AuditLogViewSet.as_view({"get": "list"}), name="audit-logs"),
    re_path(
        r"^statistics/?$", AuditLogViewSet.as_view({"get": "statistics"}), name="audit-statistics"
    ),
    re_path(
        r"^event-types/?$",
        AuditLogViewSet.as_view({"get": "event_types"}),
        name="audit-event-types",
    ),
    re_path(r"^export/?$", AuditLogViewSet.as_view({"get": "export"}), name="audit-export"),
]
