"""What pages of devices and sites show of jobs, and the ways from there to a new one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from accounts.policy import Action, may
from devices.enums import LifecycleState
from devices.models import Device
from homepot.admin import NOTHING, list_url, moment_text, page_link, sections, two_lines
from homepot.admin.commands import MOST_AT_ONCE
from jobs.admin.labels import progress_bar, segment_name, status_label
from jobs.admin.ordering import Choice, order_page
from jobs.models import Job, JobExecution
from sites.models import Site

NEWEST = 8
TEXT_LENGTH = 160
# Of the jobs for several sites, so many of the newest.
SHARED_LOOKED_AT = 200
DEVICE_DEFERRED = ("device__config", "device__os_details", "device__permissions")


def _order_url(request: HttpRequest, **place: int) -> str | None:
    if not may(request.user, Action.OPERATE):
        return None
    return f"{reverse('admin:jobs_job_add')}?{urlencode(place)}"


def _order_for_device(request: HttpRequest, device: Device) -> str | None:
    if device.lifecycle_state != LifecycleState.ACTIVE:
        return None
    return _order_url(request, device=device.pk)


def _order_for_site(request: HttpRequest, site: Site) -> str | None:
    return _order_url(request, site=site.pk) if site.is_active else None


@admin.action(description="New job", permissions=["change"])
def order_for_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet
) -> HttpResponse | None:
    pks = list(queryset.order_by().values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
    if len(pks) > MOST_AT_ONCE:
        text = f"At most {MOST_AT_ONCE:,} at once: choose fewer of them by the filters."
        model_admin.message_user(request, text, "error")
        return None
    job_admin = model_admin.admin_site.get_model_admin(Job)
    return order_page(job_admin, request, Choice(pks=pks))


def work_of_device(request: HttpRequest, device: Device) -> dict[str, Any]:
    """1. what it was told to do last."""
    now = timezone.now()
    newest: QuerySet[Any] = (
        JobExecution.objects.filter(device=device)
        .with_status(now)
        .select_related("job")
        .defer("result", "job__payload", "job__target", "job__result")
        .order_by("-created_at", "-pk")[:NEWEST]
    )
    return {
        "headings": ("When", "Job", "Status", "Error"),
        "rows": [
            (
                moment_text(row.created_at, now),
                two_lines(
                    page_link("jobs_jobexecution", row.pk, row.job.get_action_display()),
                    row.job.description[:TEXT_LENGTH],
                ),
                status_label(row.current_status),
                told(row),
            )
            for row in newest
        ],
        "empty": "It was never told to do anything.",
        "all": list_url("jobs_jobexecution", device__id__exact=device.pk),
    }


def work_of_site(request: HttpRequest, site: Site) -> dict[str, Any]:
    """1. the newest jobs for it, 2. the newest of several sites that have a device of it."""
    now = timezone.now()
    in_order = (
        Job.objects.select_related("created_by", "device")
        .defer("payload", "target", "result", *DEVICE_DEFERRED)
        .order_by("-created_at", "-pk")
    )
    own_work = JobExecution.objects.filter(job=OuterRef("pk"), device__site=site).order_by()
    lately = Job.objects.filter(site=None).order_by("-created_at", "-pk").values("pk")
    shared = in_order.filter(Exists(own_work), pk__in=lately[:SHARED_LOOKED_AT])
    found = [*in_order.filter(site=site)[:NEWEST], *shared[:NEWEST]]
    newest = sorted(found, key=lambda job: (job.created_at, job.pk), reverse=True)[:NEWEST]
    return {
        "headings": ("When", "Job", "For", "Status", "Progress", "Who"),
        "rows": [
            (
                moment_text(row.created_at, now),
                two_lines(
                    page_link("jobs_job", row.pk, row.get_action_display()),
                    row.description[:TEXT_LENGTH],
                ),
                _whom(row),
                status_label(row.status),
                progress_bar(row),
                row.created_by or "-",
            )
            for row in newest
        ],
        "empty": "No job was for devices of this site yet.",
        "all": list_url("jobs_job", site__id__exact=site.pk),
    }


def _whom(job: Job) -> str:
    if job.device is not None:
        return job.device.name
    if job.site_id is None:
        return two_lines("Several sites", "this one among them")
    return segment_name(job.segment) if job.segment else "All devices"


def told(execution: JobExecution) -> str:
    """What an execution says of its failure."""
    if not (execution.error_code or execution.error_message):
        return NOTHING
    return two_lines(execution.error_code or "Failed", execution.error_message[:TEXT_LENGTH])


sections.add_button("devices.device", sections.Button("New job", "send", _order_for_device))
sections.add_button("sites.site", sections.Button("New job", "send", _order_for_site))
sections.add_action("devices.device", order_for_selected)
TABLE = "homepot/admin/table_section.html"
sections.add("devices.device", sections.Section("Jobs", TABLE, work_of_device))
sections.add("sites.site", sections.Section("Jobs", TABLE, work_of_site))
