"""What the admin's first page says about the fleet."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone

from devices.enums import DeviceStatus
from devices.models import Device
from sites.models import Site

SITES_SHOWN = 10
# In this order.
SHOWN = (
    DeviceStatus.ONLINE,
    DeviceStatus.ERROR,
    DeviceStatus.OFFLINE,
    DeviceStatus.MAINTENANCE,
    DeviceStatus.UNKNOWN,
)
# What a site is worse for, the worst first.
TROUBLES = (DeviceStatus.ERROR, DeviceStatus.OFFLINE)


def add_fleet_overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to the page how many devices are how, and the sites that need somebody most.

    Two statements, whatever the fleet's size.
    """
    devices = Device.objects.active().visible_to(request.user).with_status(timezone.now())
    by_site: defaultdict[int, Counter[str]] = defaultdict(Counter)
    rows = devices.order_by().values_list("site", "current_status").annotate(Count("pk"))
    for site_pk, status, count in rows:
        by_site[site_pk][status] = count
    counts = sum(by_site.values(), Counter())
    context["device_count"] = f"{counts.total():,}"
    context["has_devices"] = bool(counts)
    context["statuses"] = [
        {"status": status, "label": status.label, "count": f"{counts[status]:,}"}
        for status in SHOWN
    ]
    context["troubled_sites"] = _troubled_sites(by_site)
    return context


def _troubled_sites(by_site: dict[int, Counter[str]]) -> list[dict[str, Any]]:
    """The sites with devices in trouble, those with most of them first."""
    troubled = sorted(
        (pk for pk, counts in by_site.items() if any(counts[status] for status in TROUBLES)),
        key=lambda pk: [*(-by_site[pk][status] for status in TROUBLES), pk],
    )[:SITES_SHOWN]
    sites = Site.objects.in_bulk(troubled)
    return [
        {
            "site": sites[pk],
            "total": by_site[pk].total(),
            "online": by_site[pk][DeviceStatus.ONLINE],
            "error": by_site[pk][DeviceStatus.ERROR],
            "offline": by_site[pk][DeviceStatus.OFFLINE],
        }
        for pk in troubled
    ]
