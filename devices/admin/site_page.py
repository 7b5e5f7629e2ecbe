"""What the page of a site shows of its devices. Each section takes the statements it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, IntegerField, Value, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from devices.admin.labels import status_label
from devices.charts import SITE_SPANS, site_charts
from devices.enums import DeviceStatus
from devices.models import Device, StatusChange
from devices.querysets import DeviceQuerySet
from homepot.admin import (
    NOTHING,
    ago,
    list_url,
    moment_text,
    page_link,
    sections,
    two_lines,
    unbroken,
)
from homepot.admin.charts import chosen_span, span_links
from homepot.admin.sections import Button, Section
from sites.models import Site

PAGE = "sites.site"
DEVICES_SHOWN = 25
CHANGES_SHOWN = 10
CHANGES_OF = timedelta(days=7)
TEXT_LENGTH = 160
# What needs somebody comes first.
ORDER = (
    DeviceStatus.ERROR,
    DeviceStatus.OFFLINE,
    DeviceStatus.UNKNOWN,
    DeviceStatus.MAINTENANCE,
    DeviceStatus.ONLINE,
)


def _devices(request: HttpRequest, site: Site) -> DeviceQuerySet:
    mine: DeviceQuerySet = Device.objects.active().visible_to(request.user)
    return mine.filter(site=site).with_status(timezone.now())


def summary(request: HttpRequest, site: Site) -> dict[str, Any]:
    """1. its devices by status."""
    now = timezone.now()
    local = now.astimezone(ZoneInfo(site.timezone))
    counted = _devices(request, site).order_by().values_list("current_status")
    counts = Counter(dict(counted.annotate(number=Count("pk"))))
    total, online = counts.total(), counts[DeviceStatus.ONLINE]
    key: Any = "none"
    if site.enrolment_key:
        ends = site.enrolment_key_expires_at
        until = "until it is revoked" if ends is None else f"ends {ago(ends, now)}"
        if ends is not None and ends <= now:
            until = f"ended {ago(ends, now)}"
        key = two_lines(f"{site.enrolment_key_hint}…", until)
    return {
        "summary": f"{online:,} of {total:,} devices healthy" if total else "No devices yet",
        "statuses": [
            {
                "label": status_label(status),
                "count": f"{counts[status]:,}",
                "url": list_url("devices_device", site__id__exact=site.pk, status=status),
            }
            for status in ORDER
            if counts[status]
        ],
        "facts": [
            ("At the site it is", two_lines(f"{local:%H:%M, %a %d %b}", site.timezone)),
            ("That is", two_lines(f"{now:%H:%M, %a %d %b}", "UTC")),
            ("Location", site.location or "-"),
            ("Enrolment key", key),
            ("Added", moment_text(site.created_at, now)),
        ],
        "is_retired": not site.is_active,
    }


def health(request: HttpRequest, site: Site) -> dict[str, Any]:
    """1. sums of checks of the time chosen."""
    span = chosen_span(SITE_SPANS, request.GET.get("span"))
    return {
        "links": span_links(SITE_SPANS, span, request.GET),
        "charts": site_charts(site, span, timezone.now()),
    }


def devices(request: HttpRequest, site: Site) -> dict[str, Any]:
    """1. its devices, those that need somebody first."""
    severity = Case(
        *(When(current_status=status, then=Value(place)) for place, status in enumerate(ORDER)),
        output_field=IntegerField(),
    )
    rows = (
        _devices(request, site)
        .annotate(severity=severity)
        .order_by("severity", "name", "pk")
        .defer("config", "os_details", "permissions")
    )
    return {
        "headings": ("Device", "Status", "Since", "Reason", "Type and address"),
        "rows": [
            (
                two_lines(page_link("devices_device", row.pk, row.name), unbroken(row.device_id)),
                status_label(row.current_status),
                moment_text(row.current_since),
                row.current_reason[:TEXT_LENGTH] or NOTHING,
                two_lines(row.get_device_type_display(), row.ip_address),
            )
            for row in rows[:DEVICES_SHOWN]
        ],
        "empty": "None yet: devices enrol themselves with the enrolment key, or are added here.",
        "all": list_url("devices_device", site__id__exact=site.pk),
    }


def changes(request: HttpRequest, site: Site) -> dict[str, Any]:
    """1. how the status of its devices changed in the last days."""
    recent = StatusChange.objects.visible_to(request.user).filter(
        device__in=Device.objects.filter(site=site).values("pk"),
        at__gte=timezone.now() - CHANGES_OF,
    )
    newest = recent.select_related("device").order_by("-at", "-id")[:CHANGES_SHOWN]
    return {
        "headings": ("When", "Device", "Became", "Reason"),
        "rows": [
            (
                moment_text(row.at),
                page_link("devices_device", row.device.pk, row.device.name),
                status_label(row.new_status),
                row.reason[:TEXT_LENGTH],
            )
            for row in newest
        ],
        "empty": f"None in the last {CHANGES_OF.days} days.",
        "all": list_url("devices_statuschange", device__site__id__exact=site.pk),
    }


def add_device(request: Any, site: Site) -> str | None:
    if not site.is_active or not request.user.has_perm("devices.add_device"):
        return None
    return f"{reverse('admin:devices_device_add')}?site={site.pk}"


def _maintenance(name: str) -> Callable[[Any, Site], str | None]:
    def url(request: Any, site: Site) -> str | None:
        if not site.is_active or not request.user.has_perm("devices.change_device"):
            return None
        return f"{reverse(f'admin:devices_device_{name}')}?site={site.pk}"

    return url


TABLE = "homepot/admin/table_section.html"
sections.add(PAGE, Section("Status", "devices/admin/site_status.html", summary, sections.FIRST))
sections.add(PAGE, Section("Health", "devices/admin/site_health.html", health, sections.OWN))
sections.add(PAGE, Section("Devices", TABLE, devices, sections.OWN))
sections.add(PAGE, Section("Status changes", TABLE, changes, sections.LAST))
sections.add_button(PAGE, Button("Add device", "add_circle", add_device))
sections.add_button(PAGE, Button("Maintenance", "build", _maintenance("site_maintenance")))
sections.add_button(
    PAGE, Button("End maintenance", "build_circle", _maintenance("end_site_maintenance"))
)
