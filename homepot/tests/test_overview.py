from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership
from accounts.tests.factories import make_user
from audit import services as audit
from audit.enums import AuditEvent
from devices.enums import DeviceStatus
from devices.models import Device
from devices.tests.factories import make_device, make_status_change
from homepot.models import Sweep
from jobs.enums import ExecutionStatus, JobStatus
from jobs.models import Job, JobExecution
from jobs.tests.factories import order_job
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

PART = "/admin/overview/"


def sweep_all(**fields: Any) -> None:
    """As a worker leaves them that did its work just now."""
    for name in settings.SWEEPS:
        done = {"last_finished_at": timezone.now(), "duration_ms": 3, "last_count": 1}
        Sweep.objects.create(name=name, **done | fields)


def tiles_of(page: Any) -> dict[str, str]:
    return {tile.title: tile.count for tile in page.context["tiles"]}


def sections_of(page: Any) -> dict[str, dict[str, Any]]:
    return {section.title: section.context for section in page.context["sections"]}


def cells_of(page: Any, section: str) -> list[str]:
    return [" ".join(map(str, row)) for row in sections_of(page)[section]["rows"]]


@pytest.mark.parametrize("number", [1, 12])
@pytest.mark.parametrize("path", ["/admin/", PART])
@pytest.mark.parametrize("is_scoped", [False, True])
def test_it_opens_in_ten_statements(client, count_statements, number, path, is_scoped):
    user = make_user(role=Role.OPERATOR)
    if is_scoped:
        user.site_access = SiteAccess.SELECTED
        user.save()
    for _ in range(number):
        device = make_device(status=DeviceStatus.OFFLINE)
        SiteMembership.objects.create(user=user, site=device.site)
        make_status_change(device)
        order_job(device)
        audit.record(event=AuditEvent.DEVICE_UPDATED, actor=user, target=device)
    sweep_all()
    client.force_login(user)
    # 1. session, 2. account, 3. devices by site and status, 4. open and failed work, 5. running
    # jobs, 6. changes of a day, 7. checks of an hour, 8. latest changes, 9. audit rows, 10. sweeps
    with count_statements(10):
        page = client.get(path)
    assert tiles_of(page)["Devices"] == str(number)


def test_it_says_how_everything_is(staff):
    site = make_site(name="Main")
    for status in (DeviceStatus.ONLINE, DeviceStatus.ONLINE, DeviceStatus.ERROR):
        make_device(site=site, status=status)
    quiet = make_device(
        status=DeviceStatus.ONLINE,
        status_due_at=timezone.now() - timedelta(minutes=1),
        last_seen=timezone.now() - timedelta(minutes=5),
    )
    make_status_change(quiet, reason="No check-in since then.")
    make_status_change(quiet, new_status=DeviceStatus.ERROR, reason="<b>Paper</b>")
    job = order_job(*Device.objects.filter(site=site))
    failing = job.executions.order_by("pk").first()
    JobExecution.objects.filter(pk=failing.pk).update(
        status=ExecutionStatus.FAILED, finished_at=timezone.now(), due_at=None, offer_at=None
    )
    sweep_all()

    page = staff(Role.VIEWER).get("/admin/")

    assert tiles_of(page) == {
        "Devices": "4",
        "Online": "2",
        "Offline": "1",
        "Error": "1",
        "Maintenance": "0",
        "Unknown": "0",
        "Open work": "2",
        "Failed in 24 h": "1",
    }
    assert [*sections_of(page)] == [
        "Sites, worst first",
        "Running jobs",
        "Last 24 hours",
        "Last hour",
        "Latest changes of status",
        "Latest in the audit log",
    ]
    sites = sections_of(page)["Sites, worst first"]["sites"]
    assert [(row["site_id"], row["summary"]) for row in sites] == [
        (site.site_id, "2/3 terminals healthy"),
        (quiet.site.site_id, "0/1 terminals healthy"),
    ]
    assert f"site__id__exact={site.pk}&amp;status=error" in sites[0]["troubles"][0]
    assert 'aria-label="2 online, 1 error"' in sites[0]["bar"]
    newest, _ = cells_of(page, "Latest changes of status")
    assert quiet.name in newest
    assert "&lt;b&gt;Paper&lt;/b&gt;" in page.content.decode()
    assert "of 3 ended" in cells_of(page, "Running jobs")[0]
    text = page.content.decode()
    assert "a worker is running, all" in text
    assert "homepot-alert" not in text


def test_jobs_that_ended_do_not_run(staff):
    ended, waiting = order_job(make_device()), order_job(make_device())
    Job.objects.filter(pk=ended.pk).update(status=JobStatus.FAILED)
    (running,) = cells_of(staff(Role.VIEWER).get(PART), "Running jobs")
    assert f"/admin/jobs/job/{waiting.pk}/" in running


def test_scoped_reader_sees_the_own_sites_alone(client):
    mine, theirs = make_device(status=DeviceStatus.ERROR), make_device(status=DeviceStatus.ERROR)
    for device in (mine, theirs):
        make_status_change(device)
        order_job(device)
        audit.record(event=AuditEvent.DEVICE_UPDATED, actor=None, target=device)
    user = make_user(site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=user, site=mine.site)
    client.force_login(user)

    page = client.get("/admin/")

    assert (tiles_of(page)["Devices"], tiles_of(page)["Open work"]) == ("1", "1")
    text = page.content.decode()
    assert mine.name in text
    for name in (theirs.name, theirs.device_id, theirs.site.name):
        assert name not in text


@pytest.mark.parametrize(
    ("role", "has_site", "told"),
    [
        (Role.ADMIN, False, ["/admin/sites/site/add/", "/admin/sites/site/import/"]),
        (Role.ADMIN, True, ["A site is there.", "/admin/devices/device/import/"]),
        (Role.VIEWER, False, ["Somebody whose account is for all sites", "An operator can do it."]),
    ],
)
def test_empty_fleet_says_what_to_do_first(staff, count_statements, role, has_site, told):
    if has_site:
        make_site()
    browser = staff(role)
    # One less for the changes and one for the checks, one more for the site
    with count_statements(8):
        page = browser.get("/admin/")
    text = page.content.decode()
    assert [words for words in told if words not in text] == []
    assert [*sections_of(page)] == ["First steps", "Running jobs", "Latest in the audit log"]


def test_it_says_when_nobody_does_the_services_own_work(staff):
    browser = staff(Role.VIEWER)
    assert "No worker is running." in browser.get(PART).content.decode()
    sweep_all()
    assert "homepot-alert" not in browser.get(PART).content.decode()
    late = Sweep.objects.filter(name="devices.sweeps.mark_silent_devices")
    late.update(last_finished_at=timezone.now() - timedelta(hours=1), last_error="Error: <b>")

    text = browser.get(PART).content.decode()

    assert "Behind: mark silent devices." in text
    assert f"1 of {len(settings.SWEEPS)} parts of the background work are behind" in text
    assert "Error: &lt;b&gt;" in text


def test_part_is_what_the_page_holds(staff):
    make_device()
    browser = staff(Role.VIEWER)
    part = browser.get(PART).content.decode()
    assert 'id="overview" data-homepot-live="/admin/overview/" data-homepot-seconds="15"' in part
    assert "<html" not in part
    assert part.count('id="overview"') == browser.get("/admin/").content.decode().count(
        'id="overview"'
    )
