"""Staff pages of the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, ChoicesDropdownFilter
from unfold.decorators import display

from audit.enums import Outcome, Severity
from audit.models import AuditLog
from homepot.admin import (
    DateRangeFilter,
    LongTableAdmin,
    RelatedFilter,
    json_text,
    label,
    second_text,
)

OUTCOME_COLOURS = {
    Outcome.SUCCESS.label: "success",
    Outcome.DENIED.label: "warning",
    Outcome.FAILURE.label: "danger",
}
SEVERITY_COLOURS = {
    Severity.INFO.label: "info",
    Severity.WARNING.label: "warning",
    Severity.ERROR.label: "danger",
    Severity.CRITICAL.label: "danger",
}


@admin.register(AuditLog)
class AuditLogAdmin(LongTableAdmin):
    list_display = ("at", "event", "target", "actor", "outcome_name", "address")
    list_filter = (
        ("event_type", ChoicesDropdownFilter),
        ("outcome", ChoicesCheckboxFilter),
        ("severity", ChoicesCheckboxFilter),
        ("actor_kind", ChoicesCheckboxFilter),
        ("user", RelatedFilter),
        ("site", RelatedFilter),
        ("device", RelatedFilter),
        ("job", RelatedFilter),
        ("created_at", DateRangeFilter),
    )
    search_fields = ("actor_label", "target_label", "description", "request_id", "ip_address")
    search_help_text = "Actor, target, description, request or address"
    sortable_by = ("at",)
    fieldsets = (
        (None, {"fields": ("at", "event", "description", "changes", "details")}),
        ("Who", {"fields": ("actor", "address", "user_agent", "request_id")}),
        ("What", {"fields": ("target", "site", "device", "job")}),
        ("How", {"fields": (("outcome_name", "severity_name"),)}),
    )

    def get_list_filter(self, request: HttpRequest) -> Any:
        if request.user.has_perm("accounts.view_user"):
            return self.list_filter
        # Choosing an account means searching the accounts.
        return [entry for entry in self.list_filter if entry[0] != "user"]

    @display(description="Time", ordering="created_at")
    def at(self, log: AuditLog) -> SafeString:
        return second_text(log.created_at)

    @display(description="Event")
    def event(self, log: AuditLog) -> str:
        return log.get_event_type_display()

    @display(description="Actor")
    def actor(self, log: AuditLog) -> str:
        return log.actor_label or log.actor_kind

    @display(description="Target")
    def target(self, log: AuditLog) -> str:
        return f"{log.target_type} {log.target_label}".strip() or "-"

    @display(description="Outcome")
    def outcome_name(self, log: AuditLog) -> SafeString:
        return label(log.get_outcome_display(), OUTCOME_COLOURS)

    @display(description="Severity")
    def severity_name(self, log: AuditLog) -> SafeString:
        return label(log.get_severity_display(), SEVERITY_COLOURS)

    @display(description="Address")
    def address(self, log: AuditLog) -> str:
        return log.ip_address or "-"

    @display(description="Changes")
    def changes(self, log: AuditLog) -> SafeString | str:
        before, after = log.old_values or {}, log.new_values or {}
        lines = format_html_join(
            "",
            "<tr><th>{}</th><td>{}</td><td>{}</td></tr>",
            (
                (name, json_text(before.get(name)), json_text(after.get(name)))
                for name in dict.fromkeys((*before, *after))
            ),
        )
        if not lines:
            return "-"
        return format_html(
            '<table class="homepot-table"><tr><th>Field</th><th>Before</th><th>After</th></tr>'
            "{}</table>",
            lines,
        )

    @display(description="Details")
    def details(self, log: AuditLog) -> str:
        return json_text(log.event_metadata)
