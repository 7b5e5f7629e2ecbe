"""A fleet some months in use, at the end of an eventful day: what pictures are taken of."""

from __future__ import annotations

import math
import os
import random
from datetime import datetime, timedelta
from typing import Any

SHOPS = (
    # Id, name, location, time zone, and how many of each kind.
    ("harbour", "Harbour", "Kai 4, Hamburg", "Europe/Berlin", (6, 1, 2, 1)),
    ("airport", "Airport, Terminal 2", "Departures, Lisbon", "Europe/Lisbon", (5, 1, 3, 1)),
    ("old-town", "Old Town", "Rue de la Paix 12, Lyon", "Europe/Paris", (3, 1, 0, 0)),
    ("north-mall", "North Mall", "Unit 31, Oslo", "Europe/Oslo", (4, 1, 1, 1)),
    ("station", "Central Station", "Platform level, Vienna", "Europe/Vienna", (4, 1, 2, 0)),
    ("riverside", "Riverside", "Quay Street 8, Dublin", "Europe/Dublin", (3, 1, 0, 1)),
)
KINDS = (("till", "Till"), ("gateway", "Gateway"), ("kiosk", "Kiosk"), ("printer", "Printer"))
NEW_MENU = "The menu of Monday"
CARD_READER = "Card reader does not answer"
PAPER = "Printer out of paper"


def fill_database() -> None:
    """Into a new database; needs the settings in the environment."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "homepot.settings"
    import django
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    django.setup()
    call_command("migrate", verbosity=0)
    now = timezone.now()
    with open(os.devnull, "w") as silence:
        call_command("first_run", stdout=silence)
        open_shops()
        let_days_pass(now)
        # Sums all of it up, as it does in the service.
        call_command("run_worker", "--once", stdout=silence)
    order_jobs()
    connection.close()


def open_shops() -> None:
    """Sites and devices, and who looks after them, instead of those of the demo."""
    from accounts import services as accounts
    from accounts.enums import Role
    from accounts.models import User
    from devices import services as devices
    from devices.models import Device
    from sites import services as sites
    from sites.models import Site

    Device.objects.all().delete()
    Site.objects.all().delete()
    admin = User.objects.get()
    olga = accounts.create_user(
        username="olga", email="olga@example.com", password=None, actor=admin, role=Role.OPERATOR
    )
    types = ("pos_terminal", "gateway", "kiosk", "printer")
    for number, (site_id, name, location, zone, counts) in enumerate(SHOPS):
        site = sites.create_site(
            actor=admin, site_id=site_id, name=name, location=location, timezone=zone
        )
        sites.make_enrolment_key(site=site, actor=olga)
        for (kind, title), device_type, count in zip(KINDS, types, counts, strict=True):
            for place in range(1, count + 1):
                devices.register_device(
                    site=site,
                    actor=olga,
                    device_id=f"{site_id}-{kind}-{place}",
                    name=f"{title} {place}",
                    device_type=device_type,
                    ip_address=f"10.{20 + number}.{types.index(device_type)}.{place}",
                    config={"currency": "EUR", "language": "en", "receipt": {"footer": "Thanks!"}},
                )


def let_days_pass(now: datetime) -> None:
    """Checks of a week and what came of them; some devices end in trouble."""
    from devices.models import Device, HealthCheck, StatusChange
    from sites.models import Site

    chance = random.Random(7)  # noqa: S311
    Site.objects.update(created_at=now - timedelta(days=90))
    Device.objects.update(
        lifecycle_state="active",
        created_at=now - timedelta(days=80),
        status="online",
        status_reason="Checks in, healthy.",
        status_since=now - timedelta(days=3),
        last_seen=now,
        last_check_healthy=True,
        firmware_version="2.4.1",
        config_version="menu-41",
        desired_config_version="menu-41",
        os_details={"os": {"name": "Debian", "version": "12"}},
    )
    checks: list[HealthCheck] = []
    for device in Device.objects.order_by("pk"):
        # Every five minutes for a day, each at its own time; before that less often.
        minutes = [*range(device.pk % 5, 24 * 60, 5), *range(24 * 60, 7 * 24 * 60, 60)]
        checks += [check_of(device, now - timedelta(minutes=ago), chance) for ago in minutes]
    checks.sort(key=lambda check: check.checked_at)
    HealthCheck.objects.bulk_create(checks, batch_size=1000)

    changes: list[StatusChange] = []

    def flip(
        device_id: str, ago: timedelta, length: timedelta | None, status: str, why: str
    ) -> None:
        device = Device.objects.get(device_id=device_id)
        at = now - ago
        told = f"No check-in since {at:%Y-%m-%d %H:%M:%S} UTC." if status == "offline" else why
        steps = [(at, "online", status, told)]
        during = device.health_checks.filter(checked_at__range=(at, at + (length or now - at)))
        if status == "offline":
            during.delete()
        elif status == "error":
            during.update(is_healthy=False, status_code=503, error_message=why)
        if length is None:
            seen = {"last_seen": at} if status == "offline" else {}
            unhealthy = status == "error"
            Device.objects.filter(pk=device.pk).update(
                status=status,
                status_reason=told,
                status_since=at,
                last_check_healthy=not unhealthy,
                bad_checks=int(unhealthy),
                maintenance_until=now + timedelta(hours=2) if status == "maintenance" else None,
                **seen,
            )
        else:
            steps.append((at + length, status, "online", "Checks in, healthy."))
        changes.extend(
            StatusChange(device=device, old_status=old, new_status=new, reason=reason, at=moment)
            for moment, old, new, reason in steps
        )

    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    for device in Device.objects.filter(site__site_id="airport"):
        flip(device.device_id, 17 * hour, 95 * minute, "offline", "")
    flip("old-town-till-2", 11 * hour, 3 * hour, "error", PAPER)
    flip("station-kiosk-1", 9 * hour, 2 * hour, "error", CARD_READER)
    flip("harbour-till-3", 6 * 24 * hour, 3 * hour, "offline", "")
    flip("harbour-till-3", 3 * 24 * hour, 5 * hour, "maintenance", "In maintenance.")
    flip("harbour-till-3", 20 * hour, 2 * hour, "error", PAPER)
    flip("north-mall-printer-1", 5 * hour, None, "maintenance", "In maintenance.")
    flip("riverside-till-1", 4 * hour, None, "offline", "")
    flip("harbour-till-5", 2 * hour, None, "offline", "")
    flip("harbour-till-3", 25 * minute, None, "error", CARD_READER)
    StatusChange.objects.bulk_create(sorted(changes, key=lambda change: change.at))


def check_of(device: Any, at: datetime, chance: random.Random) -> Any:
    """More to do in the afternoon; now and then a bad moment."""
    from devices.models import HealthCheck

    busy = 1 + math.sin((at.hour + at.minute / 60 - 8) * math.pi / 12)
    is_healthy = chance.random() > 0.004
    loads = {"cpu_usage": 12 + 25 * busy, "memory_usage": 50 + 6 * busy, "disk_usage": 61.0}
    return HealthCheck(
        device=device,
        is_healthy=is_healthy,
        response_time_ms=round(chance.lognormvariate(3.2 + 0.35 * busy, 0.5)),
        status_code=200 if is_healthy else 503,
        endpoint="/health",
        response_data={name: round(load + chance.gauss(0, 2), 1) for name, load in loads.items()},
        error_message="" if is_healthy else PAPER,
        checked_at=at,
    )


def order_jobs() -> None:
    """One that is over, and two that are under way."""
    from django.utils import timezone

    from accounts.models import User
    from devices.enums import Permission
    from devices.models import Device
    from jobs import services
    from jobs.enums import ExecutionStatus, JobAction, JobPriority
    from jobs.models import JobExecution
    from jobs.targets import Target
    from sites.models import Site

    olga = User.objects.get(username="olga")

    def order(site_id: str, action: JobAction, **fields: Any) -> list[JobExecution]:
        target = Target(site=Site.objects.get(site_id=site_id))
        job = services.create_job(
            target=target, actor=olga, action=action, priority=JobPriority.NORMAL, **fields
        )
        return list(job.executions.select_related("device").order_by("pk"))

    def end(execution: JobExecution, status: ExecutionStatus, **said: Any) -> None:
        device, command_id = execution.device, execution.execution_id
        services.offer_work(device.pk, now=timezone.now())
        services.acknowledge(device=device, command_id=command_id)
        if status != ExecutionStatus.ACKNOWLEDGED:
            report = services.CommandReport(status=status, **said)
            services.report_outcome(device=device, command_id=command_id, report=report)

    Device.objects.update(permissions=dict.fromkeys(Permission.values, True))
    for execution in order("station", JobAction.PING):
        end(execution, ExecutionStatus.COMPLETED, result={"answer": "pong"})
    restarted = order("airport", JobAction.RESTART_POS_APP, description="Frozen after the outage")
    for execution in restarted[:7]:
        end(execution, ExecutionStatus.COMPLETED)
    for execution in restarted[7:9]:
        end(execution, ExecutionStatus.ACKNOWLEDGED)
    running = order(
        "harbour",
        JobAction.UPDATE_CONFIG,
        description=NEW_MENU,
        config_url="https://config.example.com/menu-42.json",
        config_version="menu-42",
    )
    for execution in running[:5]:
        end(execution, ExecutionStatus.COMPLETED, result={"config_version": "menu-42"})
    end(
        running[5],
        ExecutionStatus.FAILED,
        error_code="disk_full",
        error_message="No space left for the new menu",
    )
    for execution in running[6:8]:
        end(execution, ExecutionStatus.ACKNOWLEDGED)


def devices_file() -> bytes:
    """A list to import: some new, some changed, some wrong."""
    lines = ["device_id,site_id,name,device_type,ip_address"]
    lines += [f"harbour-till-{n},harbour,Till {n},pos_terminal,10.20.0.{n}" for n in (7, 8, 9)]
    lines += [
        "harbour-kiosk-1,harbour,Kiosk at the door,kiosk,10.20.2.1",
        "harbour-till-1,harbour,Till 1,pos_terminal,10.20.0.1",
        "harbour-till-10,harbor,Till 10,pos_terminal,10.20.0.10",
        "harbour-printer-2,harbour,Printer 2,printer,10.20.3",
    ]
    return "\n".join(lines).encode()
