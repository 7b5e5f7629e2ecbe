"""Staff pages of executions: what each device was told, and what it answered."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, MultipleDropdownFilter
from unfold.decorators import display

from devices.admin.about_devices import AboutDevicesAdmin
from homepot.admin import (
    DateRangeFilter,
    RelatedFilter,
    json_text,
    page_link,
    second_text,
    time_text,
    two_lines,
)
from jobs.admin.about import told
from jobs.admin.labels import priority_label, status_label
from jobs.enums import ExecutionStatus
from jobs.models import JobExecution


class StatusFilter(MultipleDropdownFilter):
    """As time has made it, swept or not."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return ExecutionStatus.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        statuses = self.value()
        return queryset.filter(current_status__in=statuses) if statuses else queryset


@admin.register(JobExecution)
class JobExecutionAdmin(AboutDevicesAdmin):
    labels = {"error_code": "Error", "error_message": "Message", "attempt": "Offers"}
    list_display = ("created", "terminal", "place", "work", "state", "offers", "why")
    list_select_related = ("device__site", "job")  # type: ignore[assignment]
    list_defer = (*AboutDevicesAdmin.list_defer, "result", "job__payload", "job__target")
    list_filter = (
        StatusFilter,
        ("job__action", ChoicesDropdownFilter),
        ("job", RelatedFilter),
        ("device", RelatedFilter),
        ("device__site", RelatedFilter),
        ("created_at", DateRangeFilter),
    )
    filter_titles = {"job__action": "action", "device__site": "site", "created_at": "created"}
    sortable_by = ("created",)
    fieldsets = (
        (None, {"fields": ("state", "why_in_full", "answer")}),
        ("What and where", {"fields": ("its_job", "its_device", "urgency", "execution_id")}),
        (
            "Times",
            {
                "fields": (
                    ("queued", "expires"),
                    ("attempt", "sent"),
                    ("began", "until"),
                    ("asked_to_stop", "ended"),
                )
            },
        ),
    )
    empty_means = "They come with jobs, one for each device."

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).with_status(timezone.now())

    @display(description="Created", ordering="created_at")
    def created(self, execution: JobExecution) -> SafeString:
        return time_text(execution.created_at)

    @display(description="Job")
    def work(self, execution: JobExecution) -> str:
        return two_lines(execution.job.get_action_display(), execution.job.job_id)

    @display(description="Status")
    def state(self, execution: Any) -> SafeString:
        return status_label(execution.current_status)

    @display(description="Offers")
    def offers(self, execution: JobExecution) -> str:
        return f"{execution.attempt}"

    @display(description="Error")
    def why(self, execution: JobExecution) -> str:
        return told(execution)

    @display(description="Error")
    def why_in_full(self, execution: JobExecution) -> str:
        if not execution.error_message:
            return told(execution)
        return two_lines(execution.error_code or "Failed", execution.error_message)

    @display(description="What the device answered")
    def answer(self, execution: JobExecution) -> SafeString:
        return json_text(execution.result)

    @display(description="Job")
    def its_job(self, execution: JobExecution) -> SafeString:
        text = f"{execution.job.get_action_display()} ({execution.job.job_id})"
        return page_link("jobs_job", execution.job.pk, text)

    @display(description="Priority")
    def urgency(self, execution: JobExecution) -> SafeString:
        return priority_label(execution.priority)

    @display(description="May be offered from")
    def queued(self, execution: JobExecution) -> SafeString:
        return second_text(execution.queued_at)

    @display(description="Expires, unless begun")
    def expires(self, execution: JobExecution) -> SafeString:
        return second_text(execution.expires_at)

    @display(description="Last offered")
    def sent(self, execution: JobExecution) -> SafeString:
        return second_text(execution.sent_at)

    @display(description="Device began")
    def began(self, execution: JobExecution) -> SafeString:
        return second_text(execution.acknowledged_at)

    @display(description="Until then the device has the word")
    def until(self, execution: JobExecution) -> SafeString:
        return second_text(execution.lease_until)

    @display(description="Asked to stop")
    def asked_to_stop(self, execution: JobExecution) -> SafeString:
        return second_text(execution.cancel_requested_at)

    @display(description="Ended")
    def ended(self, execution: JobExecution) -> SafeString:
        return second_text(execution.finished_at)
