"""What staff do all day, in a browser, with the server, a worker and devices as processes."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership
from accounts.tests.factories import make_user
from devices.enums import DeviceStatus, LifecycleState
from devices.models import Device
from devices.simulation.registration import prepare_fleet
from devices.tests.factories import make_device
from homepot.models import ServicePulse
from homepot.testing.processes import manage, wait_until
from homepot.tests.browser.conftest import Open
from jobs.enums import JobStatus
from jobs.models import Job
from jobs.tests.factories import order_job
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "correct horse battery staple"
SITE = "Simulated site 001"
IMPORTED = 100
WAIT_SECONDS = 120


@pytest.fixture
def down() -> Device:
    """Of five simulated devices the last, which has been silent for 20 minutes."""
    prepare_fleet(device_count=5, site_count=1, on_progress=lambda ready: None)
    now = timezone.now()
    silent = now - timedelta(minutes=20)
    # The service was there all the time, so silence is the device's own.
    alive = {"beat_at": now, "grace_until": silent}
    ServicePulse.objects.update_or_create(pk=1, defaults=alive)
    Device.objects.update(
        lifecycle_state=LifecycleState.ACTIVE, status=DeviceStatus.ONLINE, last_seen=now
    )
    device = Device.objects.latest("pk")
    due = {"status_due_at": silent, "sweep_at": silent}
    Device.objects.filter(pk=device.pk).update(last_seen=silent, **due)
    make_device(status=DeviceStatus.ONLINE, site=make_site(name="Harbour"))
    return device


def go_to(page: Page, title: str) -> None:
    """Open a page by the navigation."""
    page.locator("#nav-sidebar li").get_by_role("link", name=title).click()


def row(page: Page, words: str) -> Page:
    return page.get_by_role("row").filter(has_text=words)


def test_job_for_the_worst_site(down: Device, open_page: Open, server: str) -> None:
    make_user(username="olga", role=Role.OPERATOR, password=PASSWORD)
    page = open_page()
    with manage("run_worker") as worker:
        wait_until(lambda: down.status_changes.exists(), worker, seconds=WAIT_SECONDS)

        page.goto("/admin/")
        page.get_by_label("Username").fill("olga")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()

        worst = page.get_by_role("region", name="Sites, worst first").get_by_role("listitem").first
        expect(worst).to_contain_text(SITE)
        expect(worst).to_contain_text("4/5 terminals healthy")
        worst.get_by_role("link", name="1 offline").click()
        page.get_by_role("link", name=down.name).click()
        status = page.get_by_role("region", name="Status", exact=True)
        expect(status).to_contain_text("Offline")
        expect(status).to_contain_text("No check-in since")
        expect(status).to_contain_text(re.compile(r"2\d minutes ago"))

        go_to(page, "Overview")
        worst.get_by_role("link", name=SITE).click()
        page.get_by_role("link", name="New job").click()
        page.get_by_label("Action").select_option("Ping")
        page.get_by_label("Description").fill("Is anybody there?")
        page.get_by_role("button", name="Preview").click()
        for device in Device.objects.filter(site=down.site):
            expect(page.get_by_text(device.device_id)).to_be_visible()
        page.get_by_role("button", name="Create job for 5 devices").click()
        progress = page.get_by_role("region", name="Progress")
        expect(progress).to_contain_text("0 of 5 ended")

        job = Job.objects.get()
        told = ("--devices", "5", "--sites", "1", "--seconds", "900", "--interval", "1")
        with manage("simulate_fleet", *told, "--url", server) as fleet:
            done = Job.objects.filter(pk=job.pk, status=JobStatus.COMPLETED)
            wait_until(done.exists, fleet, seconds=WAIT_SECONDS)
        # The page keeps itself up to date.
        expect(progress).to_contain_text("5 of 5 ended")
        expect(progress).to_contain_text("Completed")
        expect(page.get_by_role("link", name="Cancel")).to_have_count(0)

    go_to(page, "Audit log")
    page.get_by_role("searchbox").or_(page.locator("#searchbar")).fill(job.job_id)
    page.keyboard.press("Enter")
    expect(row(page, job.job_id).filter(has_text="olga")).to_contain_text("job")


def test_import_of_devices(open_page: Open, tmp_path: Path) -> None:
    site = make_site()
    known = make_device(site=site, name="Known")
    file = tmp_path / "devices.csv"
    with file.open("w", newline="") as output:
        lines = csv.writer(output)
        lines.writerow(("device_id", "site_id", "name", "device_type"))
        lines.writerow((known.device_id, site.site_id, "Renamed", "pos_terminal"))
        lines.writerow(("till-x", "nowhere", "Till X", "pos_terminal"))
        for number in range(IMPORTED):
            lines.writerow((f"till-{number}", site.site_id, f"Till {number}", "pos_terminal"))
    page = open_page(make_user(role=Role.OPERATOR))
    with manage("run_worker"):
        page.goto("/admin/devices/device/")
        page.get_by_role("link", name="Import").click()
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_text(f"create {IMPORTED} and change 1")).to_be_visible()
        expect(page.get_by_text("1 line is left out")).to_be_visible()
        assert Device.objects.count() == 1

        page.get_by_role("button", name=f"Import {IMPORTED + 1} lines").click()

        expect(page.get_by_text(f"{IMPORTED} created, 1 changed")).to_be_visible()
    assert Device.objects.filter(site=site, name__startswith="Till ").count() == IMPORTED
    known.refresh_from_db()
    assert known.name == "Renamed"


def test_viewer_sees_everything_and_changes_nothing(open_page: Open, server: str) -> None:
    device = make_device()
    job = order_job(device)
    page = open_page(make_user(role=Role.VIEWER))
    of_device, of_site = f"devices/device/{device.pk}", f"sites/site/{device.site.pk}"
    doing = re.compile(
        "new job|suspend|retire|rotate|maintenance|import|add|cancel|retry|save", re.I
    )
    for path in (of_device, of_site, f"jobs/job/{job.pk}"):
        page.goto(f"/admin/{path}/change/")
        expect(
            page.get_by_role("heading", name=re.compile("Status|Progress")).first
        ).to_be_visible()
        content = page.locator("#main, #content").first
        for kind in ("link", "button"):
            expect(content.get_by_role(kind, name=doing)).to_have_count(0)
    page.goto("/admin/devices/device/")
    expect(page.get_by_role("link", name=device.name)).to_be_visible()
    offered = page.locator("select[name=action] option:not([value=''])").all_text_contents()
    assert offered == ["Export as CSV", "Export as XLSX"]

    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    for path in (f"{of_device}/suspend", f"{of_device}/retire", f"jobs/job/{job.pk}/cancel"):
        answer = page.request.post(
            f"/admin/{path}/",
            form={"confirmed": "1", "csrfmiddlewaretoken": cookies["csrftoken"]},
            headers={"Referer": server},
        )
        assert answer.status == 403, path
    device.refresh_from_db()
    assert device.lifecycle_state == LifecycleState.ACTIVE


def test_operator_of_one_site_sees_that_one(open_page: Open) -> None:
    mine, theirs = make_device(status=DeviceStatus.ERROR), make_device(status=DeviceStatus.ERROR)
    jobs = {device: order_job(device) for device in (mine, theirs)}
    user = make_user(role=Role.OPERATOR, site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=user, site=mine.site)
    page = open_page(user)
    for path, shown, hidden in (
        ("", mine.site.name, theirs.site.name),
        ("sites/site/", mine.site.name, theirs.site.name),
        ("devices/device/", mine.name, theirs.name),
        ("jobs/job/", jobs[mine].job_id, jobs[theirs].job_id),
    ):
        page.goto(f"/admin/{path}")
        expect(page.get_by_text(shown).first).to_be_visible()
        expect(page.get_by_text(hidden)).to_have_count(0)
    for path in (
        f"devices/device/{theirs.pk}/change/",
        f"devices/device/{theirs.pk}/suspend/",
        f"sites/site/{theirs.site.pk}/change/",
        f"jobs/job/{jobs[theirs].pk}/change/",
    ):
        assert page.request.get(f"/admin/{path}").status == 404, path
