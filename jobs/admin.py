"""Staff pages of jobs."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, ChoicesDropdownFilter
from unfold.decorators import display

from homepot.admin import (
    DateRangeFilter,
    ReadOnlyModelAdmin,
    RelatedFilter,
    json_text,
    label,
    time_text,
)
from jobs.enums import JobStatus
from jobs.models import Job

STATUS_COLOURS = {
    JobStatus.QUEUED.label: "info",
    JobStatus.SENT.label: "info",
    JobStatus.ACKNOWLEDGED.label: "primary",
    JobStatus.COMPLETED.label: "success",
    JobStatus.FAILED.label: "danger",
    JobStatus.EXPIRED.label: "warning",
}
PRIORITY_COLOURS = {"High": "warning", "Critical": "danger"}


@admin.register(Job)
class JobAdmin(ReadOnlyModelAdmin):
    labels = {
        "config_url": "Configuration URL",
        "config_version": "Configuration version",
        "ttl_seconds": "Begin within seconds",
        "timeout_seconds": "Finish within seconds",
        "max_attempts": "Attempts at most",
    }
    list_display = (
        "work",
        "target_name",
        "priority_name",
        "status_name",
        "progress",
        "created_by",
        "created",
    )
    list_select_related = ("site", "device", "created_by")
    list_filter = (
        ("status", ChoicesCheckboxFilter),
        ("action", ChoicesDropdownFilter),
        ("priority", ChoicesCheckboxFilter),
        ("site", RelatedFilter),
        ("device", RelatedFilter),
        ("created_at", DateRangeFilter),
    )
    search_fields = ("job_id", "description")
    search_help_text = "Id or description"
    empty_means = "A job is something that devices are told to do."
    sortable_by = ("created",)
    fieldsets = (
        (None, {"fields": ("job_id", "action", "description", "priority_name", "created_by")}),
        ("Target", {"fields": ("site", "device", "segment", "selection")}),
        ("Progress", {"fields": ("status_name", "progress", "counts", "error_message", "outcome")}),
        ("Work", {"fields": ("payload_text", "config_url", "config_version", "retry_of")}),
        (
            "Limits",
            {
                "fields": (
                    ("ttl_seconds", "timeout_seconds"),
                    ("max_attempts", "collapse_key"),
                )
            },
        ),
        (
            "Times",
            {
                "fields": (
                    ("created_at", "scheduled_at"),
                    ("released_at", "started_at"),
                    ("completed_at", "cancel_requested_at"),
                )
            },
        ),
    )

    @display(description="Job", header=True)
    def work(self, job: Job) -> tuple[str, str]:
        return job.get_action_display(), job.job_id

    @display(description="Target", header=True)
    def target_name(self, job: Job) -> tuple[str, str]:
        if job.device:
            return job.device.name, job.device.device_id
        if job.site:
            return job.site.name, job.segment or "all"
        return "Several sites", ""

    @display(description="Priority")
    def priority_name(self, job: Job) -> SafeString:
        return label(job.get_priority_display().capitalize(), PRIORITY_COLOURS)

    @display(description="Status")
    def status_name(self, job: Job) -> SafeString:
        return label(job.get_status_display(), STATUS_COLOURS)

    @display(description="Created", ordering="created_at")
    def created(self, job: Job) -> SafeString:
        return time_text(job.created_at)

    @display(description="Ended")
    def progress(self, job: Job) -> str:
        return f"{job.total - job.open} of {job.total}"

    @display(description="Devices")
    def counts(self, job: Job) -> str:
        names = ("open", "completed", "failed", "cancelled", "expired", "superseded")
        counted = [f"{getattr(job, name)} {name}" for name in names if getattr(job, name)]
        return ", ".join(counted) or "None"

    @display(description="Selection")
    def selection(self, job: Job) -> str:
        return json_text(job.target)

    @display(description="Payload")
    def payload_text(self, job: Job) -> str:
        return json_text(job.payload)

    @display(description="Result")
    def outcome(self, job: Job) -> str:
        return json_text(job.result)
