"""`make screenshots`: the pictures in docs/screenshots, of the demo in a server of its own.

    .venv/bin/python -m scripts.screenshots

Needs Chromium. Every host outside is blocked, and anything that the browser complains of fails
the run.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, sync_playwright

from scripts.environment import ROOT
from scripts.processes import Processes, stop_on_signals

FOLDER = ROOT / "docs" / "screenshots"
USERNAME = "admin"
START_SECONDS = 30
DESKTOP = {"width": 1280, "height": 680}
TALL = {"width": 1280, "height": 1000}
PHONE = {"width": 375, "height": 812}
CHROMIUM_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
# Name, path, colour scheme and size of each.
PICTURES = (
    ("sign-in-light", "/admin/login/", "light", DESKTOP),
    ("overview-light", "/admin/", "light", DESKTOP),
    ("overview-dark", "/admin/", "dark", DESKTOP),
    ("overview-phone", "/admin/", "light", PHONE),
    ("sites-light", "/admin/sites/site/", "light", DESKTOP),
    ("devices-light", "/admin/devices/device/", "light", DESKTOP),
    ("devices-dark", "/admin/devices/device/", "dark", DESKTOP),
    ("devices-phone", "/admin/devices/device/", "light", PHONE),
    ("device-light", "/admin/devices/device/7/change/", "light", TALL),
    ("device-dark", "/admin/devices/device/7/change/?span=week", "dark", TALL),
    ("device-phone", "/admin/devices/device/7/change/", "light", PHONE),
    ("site-light", "/admin/sites/site/2/change/", "light", TALL),
    ("site-phone", "/admin/sites/site/2/change/", "light", PHONE),
    ("suspend-light", "/admin/devices/device/7/suspend/", "light", DESKTOP),
    ("health-checks-light", "/admin/devices/healthcheck/", "light", DESKTOP),
    ("audit-log-light", "/admin/audit/auditlog/", "light", DESKTOP),
)


def main() -> int:
    stop_on_signals()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print(
            "homepot: Chromium is needed and not on PATH: install it, on Debian with "
            "`apt install chromium`.",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory() as folder:
        password = secrets.token_urlsafe(16)
        os.environ |= {
            "HOMEPOT_ENV_FILE": os.devnull,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "DATABASE__URL": f"sqlite:///{folder}/homepot.db",
            "DJANGO_SUPERUSER_PASSWORD": password,
            "LOGGING__LEVEL": "WARNING",
        }
        fill_database()
        port = free_port()
        serve = [sys.executable, "manage.py", "serve", "--port", str(port), "--workers", "1"]
        with Processes(cwd=ROOT) as processes, sync_playwright() as playwright:
            processes.start("server", serve)
            wait_until_listening(port)
            browser = playwright.chromium.launch(
                executable_path=chromium, args=list(CHROMIUM_ARGUMENTS)
            )
            base = f"http://127.0.0.1:{port}"
            complaints = take_pictures(browser, base, password, Path(folder))
            browser.close()
        for complaint in complaints:
            print(f"homepot: {complaint}", file=sys.stderr)
        if complaints:
            return 1
        FOLDER.mkdir(parents=True, exist_ok=True)
        for picture in Path(folder).glob("*.png"):
            shutil.move(picture, FOLDER / picture.name)
    return 0


def fill_database() -> None:
    """The demo, a few minutes into a working day."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "homepot.settings"
    import django
    from django.core.management import call_command

    django.setup()
    # Models can be imported only now.
    from django.db import connection
    from django.utils import timezone

    from accounts import services as accounts
    from accounts.enums import Role
    from accounts.models import User
    from devices import services as devices
    from devices.models import Device
    from devices.reports import Report
    from sites import services as sites
    from sites.models import Site

    call_command("migrate", verbosity=0)
    call_command("first_run", stdout=open(os.devnull, "w"))  # noqa: SIM115
    admin = User.objects.get(username=USERNAME)
    accounts.create_user(
        username="olga", email="olga@example.com", password=None, actor=admin, role=Role.OPERATOR
    )
    store = Site.objects.get(site_id="site-001")
    sites.update_site(site=store, actor=admin, location="125 Main St, Downtown")
    for number, device in enumerate(Device.objects.order_by("device_id")):
        fields: dict[str, Any]
        match number:
            case 3:
                continue  # has never been heard of
            case 6:
                fields = {
                    "is_healthy": False,
                    "error_message": "Card reader does not answer",
                    "response_time_ms": 812,
                    "status_code": 503,
                }
            case _:
                fields = {"is_healthy": True, "response_time_ms": 31 + 7 * number % 20}
        report = Report(endpoint="/health", **{"status_code": 200} | fields)
        devices.record_health_check(device=device, report=report)
    # Two that have gone silent; the others stay as they are however long this takes.
    Device.objects.filter(status="online").update(status_due_at=None)
    Device.objects.filter(device_id__in=("pos-terminal-002", "pos-terminal-010")).update(
        status_due_at=timezone.now()
    )
    fill_week(Device.objects.get(pk=7))
    connection.close()


def fill_week(device: Any) -> None:
    """What a week of checks of `device`, and of its site, would have been summed up to."""
    import math
    from datetime import timedelta

    from django.utils import timezone

    from devices.models import Device, HealthRollup, SiteMinute, StatusChange

    now = timezone.now()
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    Device.objects.update(created_at=now - timedelta(days=90))
    for number in range(7 * 24):
        hour = this_hour - timedelta(hours=number)
        busy = 1 + math.sin((hour.hour - 8) * math.pi / 12)  # most of it in the afternoon
        checks, unhealthy = 60, 9 if number % 29 == 0 else 0
        loads = {"cpu": 15 + 30 * busy, "memory": 52 + 4 * busy, "disk": 63.0}
        sums: dict[str, Any] = {}
        for name, load in loads.items():
            sums |= {f"{name}_count": checks, f"{name}_sum": checks * load, f"{name}_max": load}
        HealthRollup.objects.create(
            device=device,
            hour=hour,
            checks=checks,
            unhealthy=unhealthy,
            response_count=checks,
            response_ms_sum=int(checks * (30 + 18 * busy)),
            response_ms_max=int(90 + 70 * busy) + 300 * bool(unhealthy),
            **sums,
        )
        counts = {"up_to_25_ms": 90, "up_to_50_ms": 130, "up_to_100_ms": 60, "up_to_250_ms": 15}
        rest = ("up_to_500_ms", "up_to_1000_ms", "up_to_2500_ms", "up_to_5000_ms", "over_5000_ms")
        SiteMinute.objects.create(
            site=device.site,
            minute=hour,
            checks=295,
            unhealthy=unhealthy,
            **counts,
            **dict.fromkeys(rest, 0),
        )
    for days, length, status, reason in (
        (6, timedelta(hours=2), "offline", "No check-in since then."),
        (4, timedelta(hours=5), "maintenance", "In maintenance."),
        (2, timedelta(minutes=40), "error", "Card reader does not answer"),
    ):
        began = now - timedelta(days=days, hours=days)
        for at, old, new, why in (
            (began, "online", status, reason),
            (began + length, status, "online", "Checks in, healthy."),
        ):
            StatusChange.objects.create(
                device=device, old_status=old, new_status=new, reason=why, at=at
            )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(port: int) -> None:
    """Wait for the server to take connections; raises OSError when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def take_pictures(browser: Browser, base: str, password: str, folder: Path) -> list[str]:
    """Take them all; returns what the browser complained of."""
    complaints: list[str] = []

    def refuse(route: Route) -> None:
        complaints.append(f"{route.request.url} lies outside.")
        route.abort()

    for name, path, scheme, size in PICTURES:
        context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        context.route(lambda url: not url.startswith((base, "data:")), refuse)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if path != "/admin/login/":
            sign_in(page, base, password)
        page.goto(base + path, wait_until="networkidle")
        file = folder / f"{name}.png"
        page.screenshot(path=file, animations="disabled", caret="hide")
        print(f"{file.name}: {file.stat().st_size // 1024} KiB")
        context.close()
    return complaints


def sign_in(page: Page, base: str, password: str) -> None:
    page.goto(f"{base}/admin/login/")
    page.fill("[name=username]", USERNAME)
    page.fill("[name=password]", password)
    page.click("#login-form button[type=submit]")
    page.wait_for_load_state("networkidle")


if __name__ == "__main__":
    sys.exit(main())
