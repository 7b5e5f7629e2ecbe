"""What the admin's first page shows of the audit log."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from audit.models import AuditLog
from homepot.admin import ago_text, list_url, page_link, sections, two_lines
from homepot.admin.overview import PAGE
from homepot.admin.sections import Section, keyed

SHOWN = 8


def latest(request: HttpRequest, nothing: None) -> dict[str, Any]:
    """1. the newest rows."""
    now = timezone.now()
    newest = (
        AuditLog.objects.visible_to(request.user)
        .defer("old_values", "new_values", "event_metadata")
        .order_by("-created_at", "-pk")[:SHOWN]
    )
    return {
        "headings": ("What", "Which", "Who"),
        "rows": [
            keyed(
                row.pk,
                two_lines(
                    page_link("audit_auditlog", row.pk, row.get_event_type_display()),
                    ago_text(row.created_at, now),
                ),
                row.description[:80] or row.target_label or "-",
                row.actor_label or row.actor_kind,
            )
            for row in newest
        ],
        "empty": "Nothing was changed yet.",
        "all": list_url("audit_auditlog"),
    }


sections.add(
    PAGE,
    Section(
        "Latest in the audit log", "homepot/admin/table_section.html", latest, sections.LAST, True
    ),
)
