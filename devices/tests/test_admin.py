from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.utils import timezone

from accounts.enums import Role
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.enums import DeviceStatus, DeviceType, LifecycleState
from devices.models import Device, HealthCheck
from devices.tests.factories import make_device, make_health_check
from homepot.testing.forms import filled_in
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

LIST = "/admin/devices/device/"
ADD = f"{LIST}add/"
CHECKS = "/admin/devices/healthcheck/"
SCRIPT = "<script>alert(1)</script>"


def device_page(device: Device) -> str:
    return f"{LIST}{device.pk}/change/"


def listed(browser, **parameters) -> set[str]:
    """The ids on the list of devices, filtered by `parameters`."""
    page = browser.get(LIST, parameters)
    assert page.status_code == 200
    return {device.device_id for device in page.context["cl"].result_list}


@pytest.mark.parametrize("rows", [1, 3])
def test_list_takes_three_statements(staff, rows, count_statements):
    browser = staff(Role.VIEWER)
    for _ in range(rows):
        make_device(lifecycle_state=LifecycleState.PENDING)
    # 1. session, 2. account, 3. devices joined with their sites
    with count_statements(3):
        page = browser.get(LIST)
    assert page.content.count(b"<strong>POS terminal</strong>") == rows
    assert page.content.count(b">Pending</span>") == rows


def test_list_shows_silent_devices_as_offline_before_the_sweep(staff):
    due = timezone.now() - timedelta(minutes=1)
    make_device(device_id="quiet", status=DeviceStatus.ONLINE, status_due_at=due, last_seen=due)
    make_device(device_id="loud", status=DeviceStatus.ONLINE)
    browser = staff(Role.VIEWER)
    assert listed(browser, status="offline") == {"quiet"}
    assert listed(browser, status="online") == {"loud"}
    assert listed(browser, status=["online", "offline"]) == {"quiet", "loud"}
    page = browser.get(device_page(Device.objects.get(device_id="quiet")))
    assert "No check-in since" in page.content.decode()


def test_list_filters_by_site_type_lifecycle_and_day(staff):
    now = timezone.now()
    here = make_device(device_id="here", device_type=DeviceType.PRINTER)
    make_device(device_id="there", created_at=now - timedelta(days=3))
    make_device(device_id="new", lifecycle_state=LifecycleState.PENDING)
    make_device(device_id="gone", lifecycle_state=LifecycleState.RETIRED)
    browser = staff(Role.VIEWER)
    assert listed(browser) == {"here", "there", "new"}
    assert listed(browser, site__id__exact=here.site.pk) == {"here"}
    assert listed(browser, device_type__exact="printer") == {"here"}
    assert listed(browser, lifecycle_state__exact="pending") == {"new"}
    assert listed(browser, use="retired") == {"gone"}
    day = f"{now - timedelta(days=3):%Y-%m-%d}"
    assert listed(browser, created_at_from=day, created_at_to=day) == {"there"}
    assert listed(browser, created_at_to="9999-12-31") == {"here", "there", "new"}
    assert listed(browser, created_at_from="yesterday") == {"here", "there", "new"}


def test_list_filters_by_how_long_devices_are_as_they_are(staff):
    now = timezone.now()
    make_device(device_id="just now", status_since=now - timedelta(minutes=5))
    make_device(device_id="today", status_since=now - timedelta(hours=5))
    make_device(device_id="long ago", status_since=now - timedelta(days=8))
    # Offline for two hours, which no sweep has written down.
    due, seen = now - timedelta(hours=2), now - timedelta(hours=3)
    make_device(
        device_id="silent", status="online", status_since=seen, status_due_at=due, last_seen=seen
    )
    browser = staff(Role.VIEWER)
    assert listed(browser, since="-hour") == {"just now"}
    assert listed(browser, since="hour") == {"today", "long ago", "silent"}
    assert listed(browser, since="hour", status="offline") == {"silent"}
    assert listed(browser, since="week") == {"long ago"}


@pytest.mark.parametrize("searched", ["till-9", "Left Till", "10.0.0.9", "aa:bb"])
def test_list_searches_id_name_and_addresses(staff, searched):
    make_device(
        device_id="till-9",
        name="Left Till",
        ip_address="10.0.0.9",
        mac_address="aa:bb:cc:dd:ee:ff",
    )
    make_device()
    assert listed(staff(Role.VIEWER), q=searched) == {"till-9"}


def test_add_makes_a_pending_device_and_one_audit_row(staff):
    site = make_site()
    browser = staff(Role.OPERATOR)
    browser.post(
        ADD,
        filled_in(
            browser.get(ADD),
            site=site.pk,
            name="Till 1",
            device_type="pos_terminal",
            mac_address="00-1A-2B-3C-4D-5E",
            config='{"gateway_url": "https://payments.example.com"}',
        ),
    )
    device = Device.objects.get()
    assert device.device_id.startswith("pos-terminal-")
    assert device.lifecycle_state == LifecycleState.PENDING
    assert device.mac_address == "00:1a:2b:3c:4d:5e"
    assert device.config == {"gateway_url": "https://payments.example.com"}
    row = AuditLog.objects.get(device=device)
    assert row.event_type == AuditEvent.DEVICE_CREATED
    assert row.actor_kind == "user"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"site": ""}, "This field is required"),
        ({"site": "999999"}, "Select a valid choice"),
        ({"device_id": "taken"}, "already exists"),
        ({"name": "Taken"}, "has a device named 'Taken'"),
        ({"ip_address": "300.1.1.1"}, "Enter a valid IPv4 or IPv6 address"),
        ({"mac_address": "00:1a"}, "Write a MAC address as"),
        ({"config": "{"}, "This is not JSON: "),
        ({"config": "[1]"}, "Write a JSON object"),
        ({"config": '{"x": NaN}'}, "This is not JSON: "),
        ({"config": '{"x": "\\u0000"}'}, "NUL"),
        ({"config": '{"x": 1e300}'}, "beyond 2^63"),
    ],
)
def test_add_refuses_bad_input_and_keeps_it(staff, fields, complaint):
    taken = make_device(device_id="taken", name="Taken")
    browser = staff(Role.OPERATOR)
    values = {"site": taken.site.pk, "name": "Till 1", "device_type": "kiosk"} | fields
    page = browser.post(ADD, filled_in(browser.get(ADD), **values))
    assert page.status_code == 200
    assert complaint in page.content.decode().replace("&#x27;", "'")
    assert page.context["adminform"].form["name"].value() == values["name"]
    assert Device.objects.count() == 1


def test_change_writes_the_changed_fields_and_leaves_what_devices_report(staff):
    device = make_device(name="Till 1", config={"lanes": 1})
    browser = staff(Role.OPERATOR)
    data = filled_in(browser.get(device_page(device)), config='{"lanes": 2}', ip_address="")
    seen = timezone.now()
    Device.objects.filter(pk=device.pk).update(status="online", last_seen=seen)
    browser.post(device_page(device), data)
    device.refresh_from_db()
    assert (device.config, device.status, device.last_seen) == ({"lanes": 2}, "online", seen)
    row = AuditLog.objects.get(device=device)
    assert row.event_type == AuditEvent.DEVICE_UPDATED
    assert (row.old_values, row.new_values) == (
        {"config": {"lanes": 1}},
        {"config": {"lanes": 2}},
    )


def test_change_to_a_taken_name_says_so_at_the_field(staff):
    taken = make_device(name="Till 1")
    device = make_device(site=taken.site, name="Till 2")
    browser = staff(Role.OPERATOR)
    page = browser.post(
        device_page(device), filled_in(browser.get(device_page(device)), name="Till 1")
    )
    assert page.status_code == 200
    assert "another device named" in str(page.context["adminform"].form.errors["name"])
    assert not AuditLog.objects.filter(device=device).exists()


def test_change_of_an_empty_configuration_is_no_change(staff):
    device = make_device(config={})
    browser = staff(Role.OPERATOR)
    browser.post(device_page(device), filled_in(browser.get(device_page(device)), config=""))
    device.refresh_from_db()
    assert device.config == {}
    assert not AuditLog.objects.filter(device=device).exists()


def test_change_can_neither_rename_nor_move(staff):
    device, elsewhere = make_device(), make_site()
    browser = staff(Role.ADMIN)
    data = filled_in(browser.get(device_page(device)), device_id="other", site=elsewhere.pk)
    browser.post(device_page(device), data | {"status": "error", "lifecycle_state": "suspended"})
    changed = Device.objects.get()
    assert (changed.device_id, changed.site) == (device.device_id, device.site)
    assert (changed.status, changed.lifecycle_state) == (device.status, device.lifecycle_state)


def test_retire_asks_first_and_frees_the_name(staff):
    device = make_device(name="Till 1")
    browser = staff(Role.OPERATOR)
    chosen = {"action": "retire_selected", ACTION_CHECKBOX_NAME: device.pk}
    assert str(device) in browser.post(LIST, chosen).content.decode()
    browser.post(LIST, chosen | {"confirmed": "yes"})
    device.refresh_from_db()
    assert device.lifecycle_state == LifecycleState.RETIRED
    assert AuditLog.objects.get(device=device).event_type == AuditEvent.DEVICE_RETIRED
    make_device(site=device.site, name="Till 1")
    # As a second click on a page left open.
    answer = browser.post(f"{LIST}{device.pk}/retire/", {"confirmed": "yes"}, follow=True)
    assert "is retired and cannot be changed" in answer.content.decode()


def test_page_shows_the_latest_checks(staff):
    device = make_device()
    make_health_check(device=device, is_healthy=False, error_message="Drawer stuck")
    page = staff(Role.VIEWER).get(device_page(device)).content.decode()
    assert "Drawer stuck" in page
    assert f"{CHECKS}?device__id__exact={device.pk}" in page


def test_what_devices_and_people_write_is_shown_as_text(staff):
    device = make_device(
        name=SCRIPT,
        status_reason=SCRIPT,
        firmware_version=SCRIPT,
        os_details={SCRIPT: SCRIPT},
        permissions={SCRIPT: True},
        config={SCRIPT: SCRIPT},
    )
    check = make_health_check(
        device=device, endpoint=SCRIPT, error_message=SCRIPT, response_data={SCRIPT: [SCRIPT]}
    )
    browser = staff(Role.OPERATOR)
    paths = (LIST, device_page(device), f"{LIST}{device.pk}/retire/", CHECKS)
    for path in (*paths, f"{CHECKS}{check.pk}/change/", f"{CHECKS}?device__id__exact={device.pk}"):
        page = browser.get(path).content.decode()
        assert SCRIPT not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize("rows", [1, 3])
def test_check_list_takes_three_statements(staff, rows, count_statements):
    browser = staff(Role.VIEWER)
    for _ in range(rows):
        make_health_check()
    # 1. session, 2. account, 3. checks joined with devices and sites; they are not counted
    with count_statements(3):
        page = browser.get(CHECKS)
    assert page.content.count(b"42 ms") == rows


def test_check_list_filters_by_result_device_and_site(staff):
    bad = make_health_check(is_healthy=False)
    make_health_check()
    browser = staff(Role.VIEWER)
    for parameters in (
        {"is_healthy__exact": "0"},
        {"device__id__exact": bad.device.pk},
        {"device__site__id__exact": bad.device.site.pk},
        {"q": bad.device.device_id},
    ):
        assert list(browser.get(CHECKS, parameters).context["cl"].result_list) == [bad]


def test_checks_are_read_only(staff):
    check = make_health_check()
    browser = staff(Role.ADMIN)
    page = f"{CHECKS}{check.pk}/change/"
    assert browser.get(page).status_code == 200
    assert browser.post(page, {"is_healthy": ""}).status_code == 403
    assert browser.get(f"{CHECKS}add/").status_code == 403
    assert browser.post(f"{CHECKS}{check.pk}/delete/", {"post": "yes"}).status_code == 403
    assert browser.get(f"{CHECKS}{check.pk}/history/").status_code == 404
    assert HealthCheck.objects.get().is_healthy
