"""What the admin's first page shows of devices. Each part takes the statements that it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.policy import Action, may
from devices.admin.labels import STATUS_SYMBOLS, status_label
from devices.charts import check_bars, response_lines, whole
from devices.enums import DeviceStatus
from devices.fleet import DAY, HOUR, TROUBLES, Fleet, fleet_now, last_hour, status_history
from devices.models import StatusChange
from homepot.admin import ago_text, list_link, list_url, page_link, sections, two_lines
from homepot.admin.charts import Drawn, Line, bars, strip
from homepot.admin.overview import PAGE, Tile, add_tiles
from homepot.admin.sections import Section, keyed
from sites.models import Site

SITES_SHOWN = 8
CHANGES_SHOWN = 8
TEXT_LENGTH = 120
# From the ground of a bar to its top.
STACKED = (
    DeviceStatus.ONLINE,
    DeviceStatus.MAINTENANCE,
    DeviceStatus.UNKNOWN,
    DeviceStatus.OFFLINE,
    DeviceStatus.ERROR,
)
TILES = (
    DeviceStatus.ONLINE,
    DeviceStatus.OFFLINE,
    DeviceStatus.ERROR,
    DeviceStatus.MAINTENANCE,
    DeviceStatus.UNKNOWN,
)


def _fleet(request: Any) -> Fleet:
    """1. devices by site and status, asked once for all parts of the page."""
    if not hasattr(request, "fleet"):
        request.fleet = fleet_now(request.user, timezone.now())
    fleet: Fleet = request.fleet
    return fleet


def tiles(request: HttpRequest) -> Iterator[Tile]:
    """None of its own."""
    counts = _fleet(request).now
    every = list_url("devices_device")
    yield Tile("Devices", f"{counts.total():,}", every, "all", "point_of_sale")
    for status in TILES:
        url = list_url("devices_device", status=status.value)
        yield Tile(status.label, f"{counts[status]:,}", url, status.value, STATUS_SYMBOLS[status])


def first_steps(request: HttpRequest, nothing: None) -> dict[str, Any] | None:
    """Of a fleet without devices alone: 1. whether there is a site."""
    if _fleet(request).sites:
        return None
    user: Any = request.user
    site = Site.objects.active().visible_to(user).order_by("pk").first()
    return {
        "site": site,
        "site_url": site and reverse("admin:sites_site_change", args=[site.pk]),
        "may_add_sites": may(user, Action.CREATE_SITES),
        "may_add_devices": may(user, Action.OPERATE),
    }


def sites(request: HttpRequest, nothing: None) -> dict[str, Any] | None:
    """None of its own."""
    fleet = _fleet(request)
    if not fleet.sites:
        return None
    worst = fleet.worst_first()
    return {
        "sites": [
            {
                "pk": site.pk,
                "link": page_link("sites_site", site.pk, site.name),
                "site_id": site.site_id,
                "summary": f"{site.counts[DeviceStatus.ONLINE]:,}/{site.counts.total():,} "
                "terminals healthy",
                "bar": _strip(site.counts),
                "troubles": [
                    list_link(
                        "devices_device",
                        f"{site.counts[status]:,} {status.label.lower()}",
                        site__id__exact=site.pk,
                        status=status.value,
                    )
                    for status in TROUBLES
                    if site.counts[status]
                ],
            }
            for site in worst[:SITES_SHOWN]
        ],
        "troubled": sum(bool(site.troubles) for site in worst),
        "total": f"{len(worst):,}",
        "all": list_url("sites_site"),
    }


def _strip(counts: Counter[str]) -> SafeString:
    parts = [(status.value, counts[status]) for status in STACKED if counts[status]]
    return strip(parts, ", ".join(f"{count:,} {name}" for name, count in parts))


def day(request: HttpRequest, nothing: None) -> dict[str, Any] | None:
    """1. changes of status in the last day, and devices that were added."""
    fleet = _fleet(request)
    if not fleet.sites:
        return None
    now = timezone.now()
    history = status_history(request.user, fleet, now)
    troubles = [sum(counts[status] for status in TROUBLES) for counts in history]
    return {
        "charts": [
            _status_bars("Status", STACKED, history, now, f"{fleet.now.total():,} devices"),
            _status_bars(
                "Only offline and in error",
                STACKED[-2:],
                history,
                now,
                f"now {troubles[-1]:,}, at most {max(troubles):,}",
            ),
        ],
        "means": "Each bar is the worst minute of its half hour.",
    }


def _status_bars(
    title: str,
    statuses: tuple[DeviceStatus, ...],
    history: list[Counter[str]],
    now: Any,
    summary: str,
) -> Drawn:
    series = [
        Line(status.label, status.value, [counts[status] for counts in history])
        for status in statuses
    ]
    return bars(title, DAY, DAY.times(now), series, write=whole, summary=summary)


def hour(request: HttpRequest, nothing: None) -> dict[str, Any] | None:
    """1. sums of checks by minute."""
    if not _fleet(request).sites:
        return None
    times, sums = last_hour(request.user, timezone.now())
    return {
        "charts": [
            check_bars(HOUR, times, sums, "Check-ins per minute"),
            response_lines(HOUR, times, sums),
        ]
    }


def changes(request: HttpRequest, nothing: None) -> dict[str, Any] | None:
    """1. the newest changes of status."""
    if not _fleet(request).sites:
        return None
    now = timezone.now()
    newest = (
        StatusChange.objects.visible_to(request.user)
        .select_related("device__site")
        .defer("device__config", "device__os_details", "device__permissions")
        .order_by("-at", "-pk")[:CHANGES_SHOWN]
    )
    return {
        "headings": ("Device", "Became", "Reason"),
        "rows": [
            keyed(
                row.pk,
                two_lines(
                    page_link("devices_device", row.device.pk, row.device.name),
                    row.device.site.name,
                ),
                two_lines(status_label(row.new_status), ago_text(row.at, now)),
                row.reason[:TEXT_LENGTH],
            )
            for row in newest
        ],
        "empty": "None yet: devices have kept the status that they had.",
        "all": list_url("devices_statuschange"),
    }


CHARTS = "devices/admin/overview_charts.html"
TABLE = "homepot/admin/table_section.html"
add_tiles(tiles, sections.FIRST)
for section in (
    Section("First steps", "devices/admin/first_steps.html", first_steps, sections.FIRST),
    Section("Sites, worst first", "devices/admin/overview_sites.html", sites, sections.FIRST, True),
    Section("Last 24 hours", CHARTS, day, sections.OWN),
    Section("Last hour", CHARTS, hour, sections.OWN),
    Section("Latest changes of status", TABLE, changes, sections.ADDED, True),
):
    sections.add(PAGE, section)
