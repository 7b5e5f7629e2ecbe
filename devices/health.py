"""How the devices of one site are, and those of the whole fleet."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Count, FilteredRelation, Q, QuerySet
from django.http import Http404

from devices.enums import DeviceStatus
from devices.models import Device
from devices.pace import current_status
from homepot.compiled import Asked, Question
from sites.models import Site


def _site_and_devices(asked: Asked) -> QuerySet:
    return (
        Site.objects.active()
        .visible_to(asked.user)
        .filter(site_id=asked["site_id"])
        .annotate(
            # A left join, so that a site without devices still answers one row.
            at_site=FilteredRelation("devices", condition=Q(devices__is_active=True)),
            **current_status(asked.now, "at_site__"),
        )
        .order_by("at_site__name", "at_site__id")
        .values_list(
            "updated_at",
            "at_site__device_id",
            "at_site__name",
            "at_site__device_type",
            "current_status",
            "at_site__ip_address",
            "at_site__last_seen",
            "current_since",
        )
    )


def site_health(asked: Asked) -> dict[str, Any]:
    """The health of the active site `site_id` as asked: counts and its devices by name.

    Retired devices do not count. Raises Http404.
    """
    rows = Question(asked, _site_and_devices).rows()
    if not rows:
        raise Http404
    last_updated = rows[0][0]
    devices = []
    for _, device_id, name, device_type, status, ip_address, last_seen, since in rows:
        if device_id is None:
            continue
        last_updated = max(last_updated, since, last_seen or since)
        devices.append(
            {
                "device_id": device_id,
                "name": name,
                "type": device_type,
                "status": status,
                "ip_address": ip_address,
                "last_seen": last_seen,
            }
        )
    counts = Counter(device["status"] for device in devices)
    return {
        "site_id": asked["site_id"],
        **_summary(counts),
        "devices": devices,
        "last_updated": last_updated,
    }


def _by_site_and_status(asked: Asked) -> QuerySet:
    return (
        Device.objects.active()
        .visible_to(asked.user)
        .with_status(asked.now)
        .order_by()
        .values("site__site_id", "site__name", "current_status")
        .annotate(number=Count("id"))
        .values_list("site__site_id", "site__name", "current_status", "number")
    )


def fleet_health(asked: Asked) -> dict[str, Any]:
    """Counts of active devices by status as asked, in all and by site, the worst site first.

    One statement.
    """
    names: dict[str, str] = {}
    by_site: dict[str, Counter[str]] = {}
    in_all: Counter[str] = Counter()
    for site_id, name, status, number in Question(asked, _by_site_and_status).rows():
        names[site_id] = name
        by_site.setdefault(site_id, Counter())[status] += number
        in_all[status] += number
    sites = [
        {"site_id": site_id, "name": names[site_id], **_summary(counts)}
        for site_id, counts in by_site.items()
    ]
    sites.sort(key=lambda site: (site["health_percentage"], -site["total_devices"], site["name"]))
    fleet = _summary(in_all)
    del fleet["status_summary"]
    return {**fleet, "sites": sites}


def _summary(counts: Counter[str]) -> dict[str, Any]:
    total, healthy = counts.total(), counts[DeviceStatus.ONLINE]
    return {
        "total_devices": total,
        "healthy_devices": healthy,
        "offline_devices": counts[DeviceStatus.OFFLINE],
        "error_devices": counts[DeviceStatus.ERROR],
        "maintenance_devices": counts[DeviceStatus.MAINTENANCE],
        "unknown_devices": counts[DeviceStatus.UNKNOWN],
        "health_percentage": round(100 * healthy / total, 1) if total else 0.0,
        "status_summary": f"{healthy}/{total} terminals healthy",
    }
