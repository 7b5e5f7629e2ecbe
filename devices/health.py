"""Answers to "how are they?": of one device, one site, the fleet."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, FilteredRelation, Q, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404

from devices.enums import DeviceStatus
from devices.models import Device, HealthCheck
from devices.pace import current_status
from devices.querysets import DeviceQuerySet
from devices.serializers import HealthCheckSerializer
from devices.timeline import stretches
from homepot.rows import row_shape
from sites.querysets import SiteQuerySet


def site_health(sites: SiteQuerySet, site_id: str, now: datetime) -> dict[str, Any]:
    """The health of the site `site_id` among `sites` at `now`: counts and its devices by name.

    Retired devices do not count. Raises Http404.
    """
    rows = list(
        sites.filter(site_id=site_id)
        .annotate(
            # A left join, so that a site without devices still answers one row.
            at_site=FilteredRelation("devices", condition=Q(devices__is_active=True)),
            **current_status(now, "at_site__"),
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
        "site_id": site_id,
        **_summary(counts),
        "devices": devices,
        "last_updated": last_updated,
    }


def device_health(devices: DeviceQuerySet, device_id: str, now: datetime) -> dict[str, Any]:
    """How the device `device_id` among `devices` is at `now`, and how its last day was.

    Three statements. Raises Http404.
    """
    device = devices.filter(device_id=device_id).select_related("site").with_status(now).first()
    if device is None:
        raise Http404
    since = now - timedelta(hours=24)
    latest = HealthCheck.objects.filter(device=device).order_by("-checked_at", "-id")[:1]
    day = Q(checked_at__gte=since)
    shape = row_shape(HealthCheckSerializer)
    checks = list(
        shape.select(
            latest.annotate(
                day_checks=_day_count(device, day),
                day_unhealthy=_day_count(device, day & Q(is_healthy=False)),
            ),
            "day_checks",
            "day_unhealthy",
        )
    )
    day_checks, day_unhealthy = checks[0][-2:] if checks else (0, 0)
    return {
        "device_id": device.device_id,
        "site_id": device.site.site_id,
        "name": device.name,
        "status": device.current_status,
        "status_reason": device.current_reason,
        "status_since": device.current_since,
        "last_seen": device.last_seen,
        "last_check": shape.as_dicts(checks)[0] if checks else None,
        "last_24_hours": {
            "checks": day_checks,
            "unhealthy_checks": day_unhealthy,
            "availability_percentage": _availability(device, since, now),
        },
    }


def _day_count(device: Device, day: Q) -> Coalesce:
    counted = (
        HealthCheck.objects.filter(day, device=device)
        .order_by()
        .values("device")
        .annotate(number=Count("id"))
        .values("number")
    )
    return Coalesce(Subquery(counted), 0)


def _availability(device: Any, since: datetime, now: datetime) -> float | None:
    """The share of the time from `since` to `now`, as far as known, that it was there: percent.

    There is a device that is online, in error or in maintenance.
    """
    lengths: Counter[str] = Counter()
    for stretch in stretches(device, since, now):
        lengths[stretch.status] += stretch.length // timedelta(microseconds=1)
    away = lengths[DeviceStatus.OFFLINE]
    known = sum(lengths.values()) - lengths[DeviceStatus.UNKNOWN]
    if not known:
        return None
    return round(100 * (1 - away / known), 2)


def fleet_health(devices: DeviceQuerySet, now: datetime) -> dict[str, Any]:
    """Counts of `devices` by status at `now`, in all and by site, the worst site first.

    One statement.
    """
    rows = (
        devices.with_status(now)
        .order_by()
        .values("site__site_id", "site__name", "current_status")
        .annotate(number=Count("id"))
    )
    names: dict[str, str] = {}
    by_site: dict[str, Counter[str]] = {}
    for row in rows:
        site_id = row["site__site_id"]
        names[site_id] = row["site__name"]
        by_site.setdefault(site_id, Counter())[row["current_status"]] += row["number"]
    sites = [
        {"site_id": site_id, "name": names[site_id], **_summary(counts)}
        for site_id, counts in by_site.items()
    ]
    sites.sort(key=lambda site: (site["health_percentage"], -site["total_devices"], site["name"]))
    fleet = _summary(sum(by_site.values(), Counter()))
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
