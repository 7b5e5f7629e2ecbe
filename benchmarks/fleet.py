"""A fleet to measure on, written with COPY: sites, devices with keys, checks, an audit log."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.core.management import call_command
from django.db import connection

from accounts.enums import Role
from accounts.keys import DEVICE_KEY_PREFIX, digest_of
from accounts.models import User
from accounts.services import create_api_key

SMALL_SITES = 200
SMALL_SITE_DEVICES = 5


@dataclass(frozen=True)
class Fleet:
    """How many of each there are. `api_key` is an admin's."""

    sites: int
    devices: int
    checks: int
    audit_rows: int
    api_key: str = ""

    def site_of(self, device: int) -> int:
        """The first sites are small, the others share the rest evenly."""
        small = min(SMALL_SITES, self.sites // 2)
        if device < small * SMALL_SITE_DEVICES:
            return device // SMALL_SITE_DEVICES
        return small + (device - small * SMALL_SITE_DEVICES) % (self.sites - small)

    def first_device_of_large_sites(self) -> int:
        return min(SMALL_SITES, self.sites // 2) * SMALL_SITE_DEVICES


def device_key(device: int) -> str:
    return f"{DEVICE_KEY_PREFIX}{device:043}"


def fill(fleet: Fleet) -> Fleet:
    """Migrate an empty PostgreSQL database, fill it and return the fleet with its API key."""
    call_command("migrate", verbosity=0)
    chance = random.Random(7)
    now = datetime.now(UTC)
    _copy(
        "sites",
        (
            "id",
            "site_id",
            "name",
            "description",
            "location",
            "timezone",
            "is_active",
            "enrolment_key_hint",
            "created_at",
            "updated_at",
        ),
        (
            (n + 1, f"shop-{n:05}", f"Shop {n}", "", "", "Europe/Berlin", True, "", now, now)
            for n in range(fleet.sites)
        ),
    )
    _copy(
        "devices",
        (
            "id",
            "site_id",
            "device_id",
            "name",
            "device_type",
            "status",
            "status_reason",
            "status_since",
            "lifecycle_state",
            "ip_address",
            "mac_address",
            "firmware_version",
            "config",
            "config_version",
            "desired_config_version",
            "permissions",
            "last_seen",
            "last_check_healthy",
            "bad_checks",
            "status_due_at",
            "is_active",
            "is_simulated",
            "created_at",
            "updated_at",
        ),
        (
            (
                n + 1,
                fleet.site_of(n) + 1,
                f"till-{n:06}",
                f"Till {n}",
                "gateway" if _is_gateway(fleet, n) else "pos_terminal",
                "online",
                "Checks in, healthy.",
                now,
                "active",
                f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}",
                "",
                "4.2.0",
                "{}",
                "42",
                "42",
                "{}",
                now,
                True,
                0,
                now + timedelta(hours=6),
                True,
                True,
                now - timedelta(seconds=fleet.devices - n),
                now,
            )
            for n in range(fleet.devices)
        ),
    )
    _copy(
        "device_credentials",
        ("device_id", "key_digest", "hint", "created_at", "last_used_at"),
        ((n + 1, digest_of(device_key(n)), "hpd_00000000", now, now) for n in range(fleet.devices)),
    )
    step = timedelta(days=6) / max(fleet.checks, 1)
    _copy(
        "health_checks",
        (
            "device_id",
            "is_healthy",
            "response_time_ms",
            "endpoint",
            "response_data",
            "error_message",
            "checked_at",
        ),
        (
            (
                n % fleet.devices + 1,
                n % 50 != 0,
                20 + n % 200,
                "/health",
                _telemetry(chance),
                "" if n % 50 else "Printer out of paper",
                now - timedelta(days=6) + n * step,
            )
            for n in range(fleet.checks)
        ),
    )
    _copy(
        "audit_logs",
        (
            "event_type",
            "description",
            "actor_kind",
            "actor_label",
            "device_id",
            "site_id",
            "target_type",
            "target_label",
            "request_id",
            "ip_address",
            "user_agent",
            "outcome",
            "severity",
            "created_at",
            "dedupe_key",
        ),
        (
            (
                "device_updated",
                "",
                "user",
                "anna",
                n % fleet.devices + 1,
                fleet.site_of(n % fleet.devices) + 1,
                "device",
                f"till-{n % fleet.devices:06}",
                f"request-{n}",
                "10.0.0.1",
                "benchmark",
                "success",
                "info",
                now - timedelta(days=30) + timedelta(seconds=n),
                "",
            )
            for n in range(fleet.audit_rows)
        ),
    )
    with connection.cursor() as cursor:
        for table in ("sites", "devices"):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
            )
        cursor.execute("ANALYZE")
    admin = User.objects.create_user(
        username="bench", email="bench@example.com", password=None, role=Role.ADMIN
    )
    key = create_api_key(user=admin, actor=admin, expires_at=None)
    return Fleet(fleet.sites, fleet.devices, fleet.checks, fleet.audit_rows, key)


def _is_gateway(fleet: Fleet, device: int) -> bool:
    """The first device of each large site."""
    first = fleet.first_device_of_large_sites()
    return first <= device < first + fleet.sites - min(SMALL_SITES, fleet.sites // 2)


def _telemetry(chance: random.Random) -> str:
    loads = {name: round(chance.uniform(1, 90), 1) for name in ("cpu_usage", "memory_usage")}
    return orjson.dumps(loads).decode()


def _copy(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with connection.cursor() as cursor:
        raw: Any = cursor.cursor
        with raw.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
