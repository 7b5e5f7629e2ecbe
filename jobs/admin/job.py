"""Staff pages of jobs: what devices were told, and how far it is."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts.models import User
from homepot.admin import (
    Command,
    CommandAdmin,
    DateRangeFilter,
    RelatedFilter,
    json_text,
    once,
    time_text,
)
from jobs import services
from jobs.admin.labels import priority_label, progress_bar, segment_name, status_label
from jobs.admin.ordering import choice_like, choice_of, created_before, order_page
from jobs.enums import JobAction
from jobs.models import Job
from jobs.words import job_title


def _cancel(job: Job, actor: User) -> None:
    services.cancel_job(job=job, actor=actor)


def _retry(job: Job, actor: User) -> int:
    return services.retry_job(job=job, actor=actor).pk


CANCEL = Command(
    title="Cancel",
    means=(
        "What no device has begun ends at once. Devices that are at it are asked to stop when "
        "they next check in; they confirm, or their time runs out."
    ),
    done="Cancelled",
    run=_cancel,
    is_dangerous=True,
    is_offered=lambda job: job.completed_at is None and job.cancel_requested_at is None,
)
RETRY = Command(
    title="Retry",
    means=(
        "A new job does the same for the devices that failed or let it expire, as far as they are "
        "active. This one stays as it is."
    ),
    done="Retried, for the devices that failed",
    run=_retry,
    makes_another=True,
    is_offered=lambda job: job.completed_at is not None and job.failed + job.expired > 0,
)


@admin.register(Job)
class JobAdmin(CommandAdmin):
    has_sections = True
    actions = ("cancel_selected",)
    actions_detail = ("cancel", "retry", "again")
    commands = {"cancel": CANCEL, "retry": RETRY}
    list_defer = ("payload", "target", "result")
    labels = {
        "config_url": "Configuration URL",
        "config_version": "Configuration version",
        "ttl_seconds": "Begin within seconds",
        "timeout_seconds": "Finish within seconds",
        "max_attempts": "Offers at most",
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
    filter_titles = {"created_at": "created"}
    search_fields = ("job_id", "description")
    search_help_text = "Id or description"
    empty_means = "A job is something that devices are told to do."
    sortable_by = ("created",)
    fieldsets = (
        (None, {"fields": ("job_id", "selection", "payload_text", "config_url", "retry_of")}),
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

    def heading(self, thing: Job) -> tuple[str, str]:
        return job_title(thing), thing.job_id

    @display(description="Where", header=True)
    def target_name(self, job: Job) -> tuple[str, str]:
        if job.device:
            return job.device.name, job.device.device_id
        if job.site:
            return job.site.name, segment_name(job.segment)
        return "Several sites", segment_name(job.segment) if job.segment else ""

    def is_under_way(self, obj: Job) -> bool:
        return obj.released_at is not None and obj.completed_at is None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Jobs are created, cancelled and retried, not changed.
        return False

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if answer := created_before(self, request):
            return answer
        given = request.POST if request.method == "POST" else request.GET
        return order_page(self, request, choice_of(request, given))

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_many(request, queryset, CANCEL)

    @action(
        description="Cancel",
        url_path="cancel",
        icon="cancel",
        variant=ActionVariant.DANGER,
        permissions=["operate"],
    )
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.ask(request, object_id, CANCEL)

    @action(description="Retry failed", url_path="retry", icon="replay", permissions=["operate"])
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.ask(request, object_id, RETRY)

    @action(description="Repeat", url_path="again", icon="repeat", permissions=["operate"])
    def again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form of a new job that begins as this one."""
        job = self.found(request, object_id)
        if job.action == JobAction.DEVICE_TASK:
            text = "The device began this by itself; only that can repeat it."
            self.message_user(request, text, messages.ERROR)
            return redirect(self.page_url(job))
        return order_page(self, request, choice_like(job, request), like=job)

    @display(description="Priority")
    def priority_name(self, job: Job) -> SafeString:
        return priority_label(job.priority)

    @display(description="Status")
    def status_name(self, job: Job) -> SafeString:
        return status_label(job.status)

    @display(description="Created", ordering="created_at")
    def created(self, job: Job) -> SafeString:
        return time_text(job.created_at)

    @display(description="Progress")
    @once
    def progress(self, job: Job) -> str:
        return progress_bar(job)

    @display(description="Selection")
    def selection(self, job: Job) -> str:
        return json_text(job.target)

    @display(description="Payload")
    def payload_text(self, job: Job) -> str:
        return json_text(job.payload)
