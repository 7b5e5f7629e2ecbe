"""The pages of one device and of one site: what they are made of, and what that costs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from accounts.enums import Role
from audit import services as audit
from audit.enums import AuditEvent
from devices.charts import device_charts, site_charts
from devices.enums import DeviceStatus, LifecycleState
from devices.models import Device, HealthRollup, SiteMinute
from devices.tests.factories import (
    make_credential,
    make_device,
    make_event,
    make_health_check,
    make_status_change,
)
from homepot.admin import sections
from homepot.admin.charts import DAY, MONTH, WEEK, Span
from homepot.admin.sections import Button, Section
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script>"
DEVICE_STATEMENTS = 12
SITE_STATEMENTS = 9


@pytest.fixture(autouse=True)
def content_types():
    """Known to a process after its first page."""
    ContentType.objects.get_for_models(Device, Site)


def device_page(device: Device) -> str:
    return f"/admin/devices/device/{device.pk}/change/"


def site_page(site: Site) -> str:
    return f"/admin/sites/site/{site.pk}/change/"


def add_hour(device: Device, hour: datetime, **fields) -> None:
    sums = {
        field.name: 0
        for field in HealthRollup._meta.fields
        if field.name not in ("id", "device", "hour")
    }
    HealthRollup.objects.create(device=device, hour=hour, **sums | fields)


def add_minute(site: Site, minute: datetime, **fields) -> None:
    counts = {
        field.name: 0
        for field in SiteMinute._meta.fields
        if field.name not in ("id", "site", "minute")
    }
    SiteMinute.objects.create(site=site, minute=minute, **counts | fields)


def fill(device: Device, rows: int) -> None:
    now = timezone.now()
    for number in range(rows):
        make_health_check(device=device, error_message=f"Error {number}")
        make_status_change(device, at=now - timedelta(hours=number))
        make_event(device, message=f"Event {number}")
        make_credential(device)
        audit.record(event=AuditEvent.DEVICE_UPDATED, actor=None, target=device)
        hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=number)
        add_hour(device, hour, checks=60, response_count=60, response_ms_sum=600)
        add_minute(device.site, hour, checks=60, up_to_50_ms=60)


@pytest.mark.parametrize("rows", [0, 1, 12])
def test_device_page_takes_constant_statements(staff, rows, count_statements):
    device, browser = make_device(), staff(Role.OPERATOR)
    fill(device, rows)
    # 1. session, 2. account, 3. the device and its site, 4. its newest changes, 5. its changes and
    # 6. its sums in the time shown, 7. checks, 8. the last event about its configuration, 9. keys,
    # 10. events, 11. its part of the audit log, 12. its jobs
    with count_statements(DEVICE_STATEMENTS):
        page = browser.get(device_page(device))
    assert page.status_code == 200


@pytest.mark.parametrize("rows", [0, 1, 12])
def test_site_page_takes_constant_statements(staff, rows, count_statements):
    site, browser = make_site(), staff(Role.OPERATOR)
    for _ in range(rows):
        make_status_change(make_device(site=site))
    # 1. session, 2. account, 3. the site, 4. its devices by status, 5. its sums, 6. its devices,
    # 7. their changes, 8. its jobs, 9. those that it shares with others
    with count_statements(SITE_STATEMENTS):
        page = browser.get(site_page(site))
    assert page.status_code == 200


def test_device_page_says_how_it_is_since_when_and_why(staff):
    since = timezone.now() - timedelta(minutes=3)
    device = make_device(
        status=DeviceStatus.ERROR, status_since=since, status_reason="Drawer stuck", last_seen=since
    )
    check = make_health_check(device=device, is_healthy=False, error_message="Drawer stuck")
    make_status_change(device, new_status=DeviceStatus.ERROR, evidence=check.pk, at=since)
    page = staff(Role.VIEWER).get(device_page(device)).content.decode()
    assert f"{since:%Y-%m-%d %H:%M:%S} UTC" in page
    for said in ("Error", "3 minutes ago", "Drawer stuck"):
        assert said in page
    assert f"/admin/devices/healthcheck/{check.pk}/change/" in page


@pytest.mark.parametrize(
    ("span", "first", "steps"),
    [
        (DAY, datetime(2026, 3, 3, 16, tzinfo=UTC), 24),
        (WEEK, datetime(2026, 2, 25, 16, tzinfo=UTC), 42),
        (MONTH, datetime(2026, 2, 3, tzinfo=UTC), 30),
    ],
)
def test_span_ends_with_the_step_under_way(span: Span, first, steps):
    times = span.times(NOW)
    assert (times[0], len(times)) == (first, steps)
    assert times[-1] <= NOW < times[-1] + span.step


def test_device_charts_average_what_was_counted():
    device = make_device()
    hour = datetime(2026, 3, 4, 13, tzinfo=UTC)
    load = {"cpu_count": 2, "cpu_sum": 50.0, "cpu_max": 40.0}
    add_hour(device, hour, checks=3, unhealthy=1, response_count=2, response_ms_sum=100,
             response_ms_max=80, **load)  # fmt: skip
    add_hour(device, hour - timedelta(hours=1), checks=1, response_count=2, response_ms_sum=20,
             response_ms_max=15)  # fmt: skip
    add_hour(device, hour - timedelta(days=3), checks=9, response_count=1, response_ms_sum=9)

    response, loads, checks = device_charts(device, DAY, NOW)

    assert ["2026-03-04 13:00", "50 ms", "80 ms"] in response.rows
    assert ["2026-03-04 12:00", "10 ms", "15 ms"] in response.rows
    assert ["2026-03-04 14:00", "-", "-"] in response.rows
    assert response.summary == "30 ms on average"
    assert ["2026-03-04 13:00", "25 %", "-", "-"] in loads.rows
    assert ["2026-03-04 13:00", "2", "1"] in checks.rows
    assert checks.summary == "4, 1 of them unhealthy"
    assert "nan" not in str(response.shapes)

    in_a_week = device_charts(device, WEEK, NOW)[0]
    assert ["2026-03-04 12:00", "30 ms", "80 ms"] in in_a_week.rows


def test_site_charts_show_within_what_time_devices_answered():
    site = make_site()
    minute = datetime(2026, 3, 4, 13, 5, tzinfo=UTC)
    add_minute(site, minute, checks=10, unhealthy=2, up_to_25_ms=6, up_to_100_ms=3, over_5000_ms=1)
    add_minute(site, minute + timedelta(minutes=1), checks=10, up_to_25_ms=10)
    add_minute(make_site(), minute, checks=99)

    checks, response = site_charts(site, DAY, NOW)

    assert ["2026-03-04 13:00", "18", "2"] in checks.rows
    assert ["2026-03-04 13:00", "25 ms", "100 ms"] in response.rows
    assert ["2026-03-04 14:00", "-", "-"] in response.rows


@pytest.mark.parametrize("span", ["day", "week", "month", "x", SCRIPT])
def test_pages_open_for_any_span(staff, span):
    device = make_device()
    fill(device, 1)
    browser = staff(Role.VIEWER)
    for path in (device_page(device), site_page(device.site)):
        page = browser.get(path, {"span": span})
        assert page.status_code == 200
        assert SCRIPT not in page.content.decode()
        assert page.content.decode().count('aria-current="true"') == 1


def test_band_shows_each_status_for_as_long_as_it_was(staff):
    now = timezone.now()
    made = now - timedelta(days=9)
    device = make_device(status=DeviceStatus.OFFLINE, created_at=made, status_since=made)
    make_status_change(device, at=now - timedelta(hours=6))
    page = staff(Role.VIEWER).get(device_page(device)).content.decode()
    bands = re.findall(r'homepot-band-(\w+)" style="left: ([\d.]+)%; width: ([\d.]+)%', page)
    assert [name for name, _, _ in bands] == ["online", "offline"]
    assert [round(float(width)) for _, _, width in bands] == [75, 25]


def test_site_page_shows_devices_that_need_somebody_first(staff):
    site = make_site(timezone="Asia/Tokyo")
    for name, status in (("A", "online"), ("B", "maintenance"), ("C", "error"), ("D", "offline")):
        make_device(site=site, name=f"Till {name}", status=status)
    make_device(site=site, name="Gone", lifecycle_state=LifecycleState.RETIRED, status="error")
    page = staff(Role.VIEWER).get(site_page(site)).content.decode()
    assert re.findall(r">(Till \w)<", page) == ["Till C", "Till D", "Till B", "Till A"]
    assert "1 of 4 devices healthy" in page
    assert "Asia/Tokyo" in page
    assert "Gone" not in page


def test_site_page_offers_to_add_a_device_to_operators(staff, client):
    site = make_site()
    add = f"/admin/devices/device/add/?site={site.pk}"
    assert add in staff(Role.OPERATOR).get(site_page(site)).content.decode()
    assert add not in staff(Role.VIEWER).get(site_page(site)).content.decode()


def test_what_devices_and_people_write_is_shown_as_text(staff):
    site = make_site(name=SCRIPT, location=SCRIPT)
    device = make_device(
        site=site,
        name=SCRIPT,
        status=DeviceStatus.ERROR,
        status_reason=SCRIPT,
        firmware_version=SCRIPT,
        config_version=SCRIPT,
        desired_config_version="9",
        os_details={SCRIPT: SCRIPT},
        permissions={SCRIPT: True},
        config={SCRIPT: SCRIPT},
    )
    make_health_check(device=device, endpoint=SCRIPT, error_message=SCRIPT)
    change = make_status_change(device, reason=SCRIPT)
    event = make_event(
        device,
        kind="config",
        event_type=SCRIPT,
        severity=SCRIPT[:20],
        message=SCRIPT,
        data={"a": SCRIPT},
    )
    browser = staff(Role.OPERATOR)
    for path in (
        device_page(device),
        site_page(site),
        "/admin/devices/statuschange/",
        f"/admin/devices/statuschange/{change.pk}/change/",
        "/admin/devices/deviceevent/",
        f"/admin/devices/deviceevent/{event.pk}/change/",
        f"/admin/devices/device/{device.pk}/suspend/",
    ):
        page = browser.get(path).content.decode()
        assert SCRIPT not in page, path
        assert "&lt;script&gt;" in page, path


def test_other_apps_add_sections_and_buttons(staff, monkeypatch):
    monkeypatch.setattr(sections, "_sections", {"devices.device": [
        Section("Work", "homepot/admin/table_section.html",
                lambda request, device: {
                    "headings": ("Device", "State"),
                    "rows": [(device.device_id, "done")],
                }),
        Section("Left out", "nowhere.html", lambda request, device: None),
    ]})  # fmt: skip
    monkeypatch.setattr(sections, "_buttons", {"devices.device": [
        Button("Send a job", "send", lambda request, device: f"/jobs/{device.device_id}"),
        Button("Nothing", "send", lambda request, device: None),
    ]})  # fmt: skip
    device = make_device(device_id="till-1")
    page = staff(Role.VIEWER).get(device_page(device)).content.decode()
    assert '<td data-heading="Device">till-1</td><td data-heading="State">done</td>' in page
    assert 'href="/jobs/till-1"' in page
    assert "Nothing" not in page
