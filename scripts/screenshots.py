"""`make screenshots`: the pictures in docs/screenshots, of a fleet in a server of its own.

    .venv/bin/python -m scripts.screenshots

Needs Chromium. No host outside is reached, and anything that the browser complains of fails the
run. Pictures of other names are removed.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from typing import Any

from playwright.sync_api import Browser, Page

from homepot.testing.browser import NOT_FOUND, find_chromium, open_context, start_chromium
from homepot.testing.processes import HOST, free_port
from scripts.environment import ROOT
from scripts.pictured_fleet import devices_file, fill_database
from scripts.processes import Processes, stop_on_signals
from scripts.run import wait_until_listening

FOLDER = ROOT / "docs" / "screenshots"
USERNAME = "admin"
# What each picture is called after: colours and size.
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 1040}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 1040}},
    "phone": {"color_scheme": "light", "viewport": {"width": 375, "height": 812}},
}


def main() -> int:
    stop_on_signals()
    if find_chromium() is None:
        print(f"homepot: {NOT_FOUND}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        password = secrets.token_urlsafe(16)
        os.environ |= {
            "HOMEPOT_ENV_FILE": os.devnull,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "DATABASE__URL": f"sqlite:///{folder}/homepot.db",
            "DJANGO_SUPERUSER_PASSWORD": password,
            "LOGGING__LEVEL": "ERROR",
        }
        fill_database()
        port = free_port()
        manage = [sys.executable, "manage.py"]
        with Processes(cwd=ROOT) as processes, start_chromium() as browser:
            processes.start("server", [*manage, "serve", "--port", str(port), "--workers", "1"])
            processes.start("worker", [*manage, "run_worker"])
            if not wait_until_listening(processes, HOST, port):
                return 1  # it has said why
            pictures, complaints = take_pictures(browser, f"http://{HOST}:{port}", password)
    for complaint in complaints:
        print(f"homepot: {complaint}", file=sys.stderr)
    if complaints:
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in FOLDER.glob("*.png"):
        stale.unlink()
    for name, picture in sorted(pictures.items()):
        (FOLDER / f"{name}.png").write_bytes(picture)
        print(f"{name}.png: {len(picture) // 1024} KiB")
    return 0


def take_pictures(browser: Browser, base: str, password: str) -> tuple[dict[str, bytes], list[str]]:
    """The pictures by their names, and what the browser complained of."""
    pictures: dict[str, bytes] = {}
    complaints: list[str] = []
    preview = ""
    for look, options in LOOKS.items():
        context, watch = open_context(browser, base, reduced_motion="reduce", **options)
        page = context.new_page()
        page.goto("/admin/")
        pictures[f"sign-in-{look}"] = page.screenshot(caret="hide")
        sign_in(page, password)
        preview = preview or upload(page)
        for name, path in (
            ("dashboard", "/admin/"),
            ("site", "/admin/sites/site/?q=harbour"),
            ("device", "/admin/devices/device/?q=harbour-till-3"),
            ("job", "/admin/jobs/job/?q=menu"),
            ("import-preview", preview),
        ):
            page.goto(path)
            if "?q=" in path:
                page.locator("#result_list tbody a").first.click()
            page.wait_for_load_state("networkidle")
            pictures[f"{name}-{look}"] = page.screenshot(animations="disabled", caret="hide")
        complaints += watch.complaints
        context.close()
    return pictures, complaints


def sign_in(page: Page, password: str) -> None:
    page.get_by_label("Username").fill(USERNAME)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_load_state("networkidle")


def upload(page: Page) -> str:
    """Have a list of devices looked at; returns the address of its preview."""
    page.goto("/admin/devices/device/import/")
    file: Any = {"name": "harbour.csv", "mimeType": "text/csv", "buffer": devices_file()}
    page.set_input_files("input[type=file]", file)
    page.get_by_role("button", name="Preview").click()
    page.wait_for_url("**/import/*/")
    return page.url


if __name__ == "__main__":
    sys.exit(main())
