"""What the page of one device is made of. Each section takes the statements that it names."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils import timezone

from audit import words
from audit.models import AuditLog
from devices.admin.commands import in_maintenance
from devices.admin.labels import (
    lifecycle_label,
    milliseconds,
    result_label,
    severity_label,
    status_label,
)
from devices.charts import DEVICE_SPANS, device_charts, status_band
from devices.enums import EventKind
from devices.models import Device, StatusChange
from devices.timeline import stretches
from homepot.admin import (
    NOTHING,
    ago,
    json_text,
    list_url,
    moment_text,
    page_link,
    second_text,
    sections,
    time_text,
    two_lines,
    unbroken,
)
from homepot.admin.charts import chosen_span, span_links
from homepot.admin.sections import Section

PAGE = "devices.device"
NEWEST = 8
STRETCHES_DRAWN = 500
TEXT_LENGTH = 160
EVENTS_LOOKED_AT = 1000


def newest_changes(device: Any) -> list[StatusChange]:
    """Asked for by two sections, and read once."""
    if not hasattr(device, "newest_changes"):
        device.newest_changes = list(device.status_changes.order_by("-at", "-id")[:NEWEST])
    newest: list[StatusChange] = device.newest_changes
    return newest


def status(request: HttpRequest, device: Any) -> dict[str, Any]:
    """1. the newest changes of status, of which the last names the check that showed it."""
    now = timezone.now()
    newest = next(iter(newest_changes(device)), None)
    shown_by = None
    if newest is not None and newest.new_status == device.current_status and newest.evidence:
        shown_by = page_link("devices_healthcheck", newest.evidence, "the check that showed it")
    local = now.astimezone(ZoneInfo(device.site.timezone))
    facts = [
        ("Site", page_link("sites_site", device.site.pk, device.site)),
        ("Last seen", moment_text(device.last_seen, now)),
        ("Lifecycle", lifecycle_label(device.lifecycle_state)),
        ("Type", device.get_device_type_display()),
        ("Address", two_lines(device.ip_address or "-", device.mac_address)),
        ("At the site it is", two_lines(f"{local:%H:%M}", device.site.timezone)),
    ]
    if in_maintenance(device):
        facts.insert(2, ("Maintenance until", moment_text(device.maintenance_until, now)))
    return {
        "label": status_label(device.current_status),
        "reason": device.current_reason,
        "since": time_text(device.current_since, "DATETIME_FORMAT"),
        "ago": ago(device.current_since, now),
        "shown_by": shown_by,
        "facts": facts,
        "is_retired": not device.is_active,
    }


def health(request: HttpRequest, device: Any) -> dict[str, Any]:
    """1. changes of status, 2. sums of checks, both of the time chosen."""
    now = timezone.now()
    span = chosen_span(DEVICE_SPANS, request.GET.get("span"))
    since = now - span.length
    begin = max(since, min(device.created_at, now))
    parts = stretches(device, begin, now, at_most=STRETCHES_DRAWN)
    band = status_band(parts, since, now)
    return {
        "links": span_links(DEVICE_SPANS, span, request.GET),
        "band": band,
        "shares": [(status_label(name), share) for name, share in band["shares"]],
        "charts": device_charts(device, span, now),
        "span": span,
    }


def changes(request: HttpRequest, device: Device) -> dict[str, Any]:
    """None: what `status` read."""
    return {
        "headings": ("When", "Became", "Reason"),
        "rows": [
            (moment_text(row.at), status_label(row.new_status), row.reason[:TEXT_LENGTH])
            for row in newest_changes(device)
        ],
        "empty": "None yet: its status has not changed since it was added.",
        "all": list_url("devices_statuschange", device__id__exact=device.pk),
    }


def checks(request: HttpRequest, device: Device) -> dict[str, Any]:
    """1. the newest checks."""
    newest = device.health_checks.defer("response_data").order_by("-checked_at", "-id")[:NEWEST]
    return {
        "headings": ("When", "Result", "Took", "Error"),
        "rows": [
            (
                page_link("devices_healthcheck", row.pk, second_text(row.checked_at)),
                result_label(row),
                unbroken(milliseconds(row.response_time_ms)),
                row.error_message[:TEXT_LENGTH] or NOTHING,
            )
            for row in newest
        ],
        "empty": "None yet: the device has not checked in.",
        "all": list_url("devices_healthcheck", device__id__exact=device.pk),
    }


def configuration(request: HttpRequest, device: Device) -> dict[str, Any]:
    """1. the last change of its configuration that the device told of."""
    # Of a device that tells much and never of that, not every event is looked at.
    recent = device.events.order_by("-at", "-id").values("pk")[:EVENTS_LOOKED_AT]
    told = device.events.filter(pk__in=recent, kind=EventKind.CONFIG).order_by("-at", "-id").first()
    desired, reported = device.desired_config_version, device.config_version
    return {
        "desired": desired or "-",
        "reported": reported or "-",
        "is_same": bool(desired) and desired == reported,
        "is_different": bool(desired) and desired != reported,
        "told": told and two_lines(told.message[:TEXT_LENGTH] or told.event_type, ago(told.at)),
        "config": json_text(device.config) if device.config else "",
        "firmware": device.firmware_version or "-",
        "system": json_text(device.os_details) if device.os_details else "",
        "permissions": [
            (name.replace("_", " "), granted)
            for name, granted in sorted(device.permissions.items())
        ],
    }


def keys(request: HttpRequest, device: Device) -> dict[str, Any]:
    """1. the newest keys, of which the database knows no more than how they begin."""
    now = timezone.now()

    def state(key: Any) -> str:
        if key.revoked_at is not None:
            return two_lines("Ended", ago(key.revoked_at, now))
        if key.expires_at is not None and key.expires_at <= now:
            return two_lines("Ended", ago(key.expires_at, now))
        if key.expires_at is not None:
            return two_lines("Valid", f"ends {ago(key.expires_at, now)}")
        return two_lines("Valid", "until it is revoked")

    newest = device.credentials.order_by("-created_at", "-id")[:NEWEST]
    return {
        "headings": ("Key", "Last used", "State"),
        "rows": [
            (
                two_lines(unbroken(f"{key.hint}…"), f"made {ago(key.created_at, now)}"),
                moment_text(key.last_used_at, now) if key.last_used_at else "never",
                state(key),
            )
            for key in newest
        ],
        "empty": "It has none: rotate its key to make one.",
    }


def events(request: HttpRequest, device: Device) -> dict[str, Any]:
    """1. what it told of its own accord."""
    newest = device.events.defer("data").order_by("-at", "-id")[:NEWEST]
    return {
        "headings": ("When", "Event", "Message"),
        "rows": [
            (
                moment_text(row.at),
                two_lines(row.event_type or row.get_kind_display(), severity_label(row.severity)),
                row.message[:TEXT_LENGTH],
            )
            for row in newest
        ],
        "empty": "It has told of nothing.",
        "all": list_url("devices_deviceevent", device__id__exact=device.pk),
    }


def record(request: Any, device: Device) -> dict[str, Any]:
    """1. what was done to it, and by whom."""
    return words.newest_of(
        AuditLog.objects.visible_to(request.user).filter(device=device.pk),
        empty="Nothing was changed yet.",
        device__id__exact=device.pk,
    )


TABLE = "homepot/admin/table_section.html"
sections.add(PAGE, Section("Status", "devices/admin/status.html", status, sections.FIRST))
sections.add(PAGE, Section("Health", "devices/admin/health.html", health, sections.OWN))
for title, show in (("Status changes", changes), ("Latest checks", checks)):
    sections.add(PAGE, Section(title, TABLE, show, sections.OWN, is_half=True))
sections.add(
    PAGE,
    Section(
        "Configuration",
        "devices/admin/configuration.html",
        configuration,
        sections.LAST,
        is_half=True,
    ),
)
for title, show in (("Keys", keys), ("Events", events), ("Audit log", record)):
    sections.add(PAGE, Section(title, TABLE, show, sections.LAST, is_half=True))
