"""Fills an empty PostgreSQL database with a fleet, by COPY.

    DATABASE__URL=... python -m benchmarks.filling --sites 1000 --devices 20000 ...
    DATABASE__URL=... python -m benchmarks.filling --depot 40000

The first says the fleet as JSON; the second adds one site of that many devices.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.fleet import Fleet, device_key

ADMIN = "bench"
DEPOT = "depot"
FILLED = ("sites", "devices", "device_credentials", "health_checks", "audit_logs")


def filled(database_url: str, fleet: Fleet) -> Fleet:
    """Fill the empty database there, in a process of its own; the fleet with its API key."""
    options = [
        *("--sites", str(fleet.sites), "--devices", str(fleet.devices)),
        *("--checks", str(fleet.checks), "--audit", str(fleet.audit_rows)),
    ]
    return Fleet(**json.loads(_run(database_url, options)))


def add_depot(database_url: str, devices: int) -> None:
    """Add the site `DEPOT` with that many devices."""
    _run(database_url, ["--depot", str(devices)])


def _run(database_url: str, options: list[str]) -> bytes:
    command = [sys.executable, "-m", "benchmarks.filling", *options]
    environment = os.environ | {"DATABASE__URL": database_url}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout


def fill(fleet: Fleet) -> Fleet:
    """Fill a database that has tables; the fleet with its API key."""
    from django.db import connection

    from accounts.enums import Role
    from accounts.models import User
    from accounts.services import create_api_key

    chance = random.Random(7)
    now = datetime.now(UTC)
    fleet = replace(fleet, made_at=now.isoformat())
    _copy("sites", (_shop(fleet, number, now) for number in range(fleet.sites)))
    _copy_devices(fleet, now)
    step = timedelta(days=6) / max(fleet.checks, 1)
    _copy(
        "health_checks",
        (
            {
                "device_id": number % fleet.devices + 1,
                "is_healthy": number % 50 != 0,
                "response_time_ms": 20 + number % 200,
                "endpoint": "/health",
                "response_data": _telemetry(chance),
                "error_message": "" if number % 50 else "Printer out of paper",
                "checked_at": now - timedelta(days=6) + number * step,
            }
            for number in range(fleet.checks)
        ),
    )
    _copy("audit_logs", (_audit_row(fleet, number, now) for number in range(fleet.audit_rows)))
    with connection.cursor() as cursor:
        for table in ("sites", "devices"):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
            )
    admin = User.objects.create_user(
        username=ADMIN, email=f"{ADMIN}@example.com", password=None, role=Role.ADMIN
    )
    return replace(fleet, api_key=create_api_key(user=admin, actor=admin, expires_at=None))


def _copy_devices(fleet: Fleet, now: datetime) -> None:
    from accounts.keys import digest_of

    silent_at = _silent_at(fleet.devices, now)
    _copy(
        "devices",
        (
            _device(number, fleet.site_of(number) + 1, f"till-{number:06}", now, silent_at)
            | {
                "device_type": "gateway" if fleet.is_gateway(number) else "pos_terminal",
                "created_at": fleet.device_made_at(number),
            }
            for number in range(fleet.devices)
        ),
    )
    _copy(
        "device_credentials",
        (
            {
                "device_id": number + 1,
                "key_digest": digest_of(device_key(number)),
                "hint": "hpd_00000000",
                "created_at": now,
                "last_used_at": now,
            }
            for number in range(fleet.devices)
        ),
    )


def fill_depot(devices: int) -> None:
    from django.db import connection
    from django.db.models import Max

    from devices.models import Device
    from sites.models import Site

    now = datetime.now(UTC)
    site = (Site.objects.aggregate(last=Max("pk"))["last"] or 0) + 1
    first = (Device.objects.aggregate(last=Max("pk"))["last"] or 0) + 1
    silent_at = _silent_at(devices, now)
    _copy("sites", [_site(site - 1, DEPOT, now)])
    _copy(
        "devices",
        (
            _device(first + number - 1, site, f"{DEPOT}-{number:06}", now, silent_at)
            for number in range(devices)
        ),
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE devices")


def _shop(fleet: Fleet, number: int, now: datetime) -> dict[str, Any]:
    # Of sites that all open in the same instant, PostgreSQL 18 takes one by its id from the index
    # of the newest, which it goes through for each.
    opened_at = now - timedelta(seconds=fleet.sites - number)
    return _site(number, f"shop-{number:05}", now) | {"created_at": opened_at}


def _site(number: int, site_id: str, now: datetime) -> dict[str, Any]:
    return {
        "id": number + 1,
        "site_id": site_id,
        "name": f"Shop {number}",
        "description": "",
        "location": "",
        "timezone": "Europe/Berlin",
        "is_active": True,
        "enrolment_key_hint": "",
        "created_at": now,
        "updated_at": now,
    }


def _silent_at(devices: int, now: datetime) -> datetime:
    """From when on those of so large a fleet are silent that checked in just now."""
    from devices.pace import Pace

    pace = Pace()
    pace.active_devices = devices
    return now + pace.patience(pace.interval)


def _device(
    number: int, site_pk: int, device_id: str, now: datetime, silent_at: datetime
) -> dict[str, Any]:
    return {
        "id": number + 1,
        "site_id": site_pk,
        "device_id": device_id,
        "name": f"Till {number}",
        "device_type": "pos_terminal",
        "status": "online",
        "status_reason": "Checks in, healthy.",
        "status_since": now,
        "lifecycle_state": "active",
        "ip_address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        "mac_address": "",
        "firmware_version": "4.2.0",
        "config": "{}",
        "config_version": "42",
        "desired_config_version": "42",
        "permissions": "{}",
        "last_seen": now,
        "last_check_healthy": True,
        "bad_checks": 0,
        # Nothing falls silent while it is measured.
        "status_due_at": max(silent_at, now + timedelta(hours=6)),
        "sweep_at": silent_at,
        "is_active": True,
        "is_simulated": True,
        "created_at": now,
        "updated_at": now,
    }


def _audit_row(fleet: Fleet, number: int, now: datetime) -> dict[str, Any]:
    device = number % fleet.devices
    return {
        "event_type": "device_updated",
        "description": "",
        "actor_kind": "user",
        "actor_label": "anna",
        "device_id": device + 1,
        "site_id": fleet.site_of(device) + 1,
        "target_type": "device",
        "target_label": f"till-{device:06}",
        "request_id": f"request-{number}",
        "ip_address": "10.0.0.1",
        "user_agent": "benchmark",
        "outcome": "success",
        "severity": "info",
        "created_at": now - timedelta(days=30) + timedelta(seconds=number),
        "dedupe_key": "",
    }


def _telemetry(chance: random.Random) -> str:
    return (
        f'{{"cpu_usage": {chance.uniform(1, 90):.1f}, "memory_usage": {chance.uniform(1, 90):.1f}}}'
    )


def _copy(table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows as dictionaries, all with the columns of the first."""
    from django.db import connection

    source = iter(rows)
    first = next(source, None)
    if first is None:
        return
    with connection.cursor() as cursor:
        raw: Any = cursor.cursor
        with raw.copy(f"COPY {table} ({', '.join(first)}) FROM STDIN") as copy:
            for row in itertools.chain([first], source):
                copy.write_row(tuple(row.values()))


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    parser = argparse.ArgumentParser(prog="benchmarks.filling", description=__doc__)
    for name in ("sites", "devices", "checks", "audit", "depot"):
        parser.add_argument(f"--{name}", type=int, default=0)
    options = parser.parse_args()
    if options.depot:
        fill_depot(options.depot)
        return
    call_command("migrate", verbosity=0)
    fleet = fill(Fleet(options.sites, options.devices, options.checks, options.audit))
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        # Not of all tables: where PostgreSQL has seen one empty, it goes on reading it whole for
        # references, however many rows come, until it looks again.
        cursor.execute(f"VACUUM ANALYZE {', '.join(FILLED)}, users")
    json.dump(asdict(fleet), sys.stdout)


if __name__ == "__main__":
    main()
