"""What pages of devices and sites show of jobs, and the ways from there to a new one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from accounts.policy import Action, may
from devices.enums import LifecycleState
from devices.models import Device
from homepot.admin import list_url, sections
from homepot.admin.commands import MOST_AT_ONCE
from jobs.admin.labels import progress_bar, status_label
from jobs.admin.ordering import Choice, order_page
from jobs.models import Job, JobExecution
from jobs.open_work import site_work
from sites.models import Site

SHOWN = 10


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


def executions_of_device(request: HttpRequest, device: Device) -> dict[str, Any]:
    """One statement."""
    executions: QuerySet[Any] = (
        JobExecution.objects.filter(device=device)
        .with_status(timezone.now())
        .select_related("job")
        .defer("result", "job__payload", "job__target", "job__result")
        .order_by("-created_at", "-pk")[: SHOWN + 1]
    )
    rows = [
        {
            "execution": execution,
            "url": reverse("admin:jobs_jobexecution_change", args=[execution.pk]),
            "status": status_label(execution.current_status),
        }
        for execution in executions
    ]
    return {
        "rows": rows[:SHOWN],
        "all_url": list_url("jobs_jobexecution", device__id__exact=device.pk),
        "has_more": len(rows) > SHOWN,
    }


def jobs_of_site(request: HttpRequest, site: Site) -> dict[str, Any]:
    """Two statements."""
    jobs = (
        Job.objects.filter(site=site)
        .select_related("device", "created_by")
        .defer("payload", "target", "result")
        .order_by("-created_at", "-pk")[: SHOWN + 1]
    )
    rows = [
        {
            "job": job,
            "url": reverse("admin:jobs_job_change", args=[job.pk]),
            "status": status_label(job.status),
            "progress": progress_bar(job),
        }
        for job in jobs
    ]
    return {
        "rows": rows[:SHOWN],
        "work": site_work(site, timezone.now()),
        "all_url": list_url("jobs_job", site__id__exact=site.pk),
        "has_more": len(rows) > SHOWN,
    }


sections.add_button("devices.device", sections.Button("New job", "send", _order_for_device))
sections.add_button("sites.site", sections.Button("New job", "send", _order_for_site))
sections.add_action("devices.device", order_for_selected)
sections.add(
    "devices.device",
    sections.Section("Jobs", "jobs/admin/executions_of_device.html", executions_of_device),
)
sections.add("sites.site", sections.Section("Jobs", "jobs/admin/jobs_of_site.html", jobs_of_site))
