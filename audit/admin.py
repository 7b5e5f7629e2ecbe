"""Staff pages of the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, ChoicesDropdownFilter
from unfold.decorators import action, display

from audit import overview as overview
from audit import words
from audit.enums import Outcome, Severity
from audit.export import ExportFormat, export_response
from audit.models import AuditLog
from audit.search import search
from homepot.admin import (
    DateRangeFilter,
    LongTableAdmin,
    RelatedFilter,
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
    counted_as = ("entry", "entries")
    list_display = ("at", "event", "target", "actor", "outcome_name", "address")
    list_defer = ("old_values", "new_values", "event_metadata", "user_agent")
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
    filter_titles = {
        "event_type": "what",
        "actor_kind": "kind of actor",
        "user": "actor",
        "created_at": "time",
    }
    search_fields = ("request_id",)
    search_help_text = "Username, or id of a site, device, job or request"
    sortable_by = ("at",)
    fieldsets = (
        (None, {"fields": ("at", "event", "target", "changes", "details")}),
        ("Who", {"fields": (("actor", "account"), "address", "user_agent", "request_id")}),
        ("Where", {"fields": ("its_site", "its_device", "its_job")}),
        ("How it went", {"fields": (("outcome_name", "severity_name"),)}),
    )
    actions_list = ("export_csv", "export_ndjson")

    def get_list_filter(self, request: HttpRequest) -> Any:
        if request.user.has_perm("accounts.view_user"):
            return self.list_filter
        # Choosing an account means searching the accounts.
        return [entry for entry in self.list_filter if entry[0] != "user"]

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        log = super().get_object(request, *args, **kwargs)
        if log is not None:
            log.reader = request.user
        return log

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        return search(queryset, search_term, request.user), False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        page: Any = super().changelist_view(request, extra_context)
        # A file holds what the list shows, by the same filters.
        if request.GET and hasattr(page, "context_data"):
            for link in page.context_data["actions_list"]:
                link["path"] += f"?{request.GET.urlencode()}"
        return page

    @action(description="Export CSV", url_path="export-csv", icon="download", permissions=["view"])
    def export_csv(self, request: HttpRequest) -> StreamingHttpResponse:
        return self._export(request, ExportFormat.CSV)

    @action(
        description="Export NDJSON", url_path="export-ndjson", icon="download", permissions=["view"]
    )
    def export_ndjson(self, request: HttpRequest) -> StreamingHttpResponse:
        return self._export(request, ExportFormat.NDJSON)

    def _export(self, request: HttpRequest, format: ExportFormat) -> StreamingHttpResponse:
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters as error:
            raise BadRequest("The log cannot be filtered like this.") from error
        filters = {
            name: values[0] if len(values) == 1 else values for name, values in request.GET.lists()
        }
        reader: Any = request.user
        return export_response(rows, format=format, actor=reader, filters=filters)

    @display(description="Time", ordering="created_at")
    def at(self, log: AuditLog) -> SafeString:
        return second_text(log.created_at)

    @display(description="What")
    def event(self, log: AuditLog) -> SafeString:
        return words.what(log)

    @display(description="Actor")
    def actor(self, log: AuditLog) -> str:
        return log.actor_label or log.actor_kind

    @display(description="Target")
    def target(self, log: AuditLog) -> SafeString:
        return words.target(log)

    @display(description="User")
    def account(self, log: AuditLog) -> SafeString | str:
        return _link(log, "user")

    @display(description="Site")
    def its_site(self, log: AuditLog) -> SafeString | str:
        return _link(log, "site")

    @display(description="Device")
    def its_device(self, log: AuditLog) -> SafeString | str:
        return _link(log, "device")

    @display(description="Job")
    def its_job(self, log: AuditLog) -> SafeString | str:
        return _link(log, "job")

    @display(description="Outcome")
    def outcome_name(self, log: AuditLog) -> SafeString:
        return label(log.get_outcome_display(), OUTCOME_COLOURS)

    @display(description="Severity")
    def severity_name(self, log: AuditLog) -> SafeString:
        return label(log.get_severity_display(), SEVERITY_COLOURS)

    @display(description="IP address")
    def address(self, log: AuditLog) -> str:
        return log.ip_address or "-"

    @display(description="Changes")
    def changes(self, log: AuditLog) -> SafeString:
        return words.changes_table(log)

    @display(description="Details")
    def details(self, log: AuditLog) -> SafeString:
        return words.details_table(log)


def _link(log: Any, name: str) -> SafeString | str:
    """A link to what the reference `name` names, if it is there still and for this reader."""
    related: Any = AuditLog._meta.get_field(name).related_model
    thing = related.objects.visible_to(log.reader).filter(pk=getattr(log, f"{name}_id")).first()
    permission = f"{related._meta.app_label}.view_{related._meta.model_name}"
    if thing is None or not log.reader.has_perm(permission):
        return "-"
    page = f"admin:{related._meta.app_label}_{related._meta.model_name}_change"
    return format_html(
        '<a class="text-link" href="{}">{}</a>', reverse(page, args=[thing.pk]), thing
    )
