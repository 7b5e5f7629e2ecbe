"""What is done to many devices at once, as services and on the list of the admin."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.messages import get_messages
from django.utils import timezone

from accounts.enums import Role, SiteAccess
from accounts.keys import digest_of
from accounts.models import SiteMembership
from accounts.tests.factories import make_user
from audit.models import AuditLog
from devices import services
from devices.enums import DeviceStatus, LifecycleState
from devices.models import Device, DeviceCredential, StatusChange
from devices.tests.factories import make_credential, make_device
from homepot import steps
from homepot.admin import commands
from homepot.steps import as_ranges, from_ranges
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

LIST = "/admin/devices/device/"
ALL = {"select_across": "1", "index": "0"}


def make_fleet(count: int, **fields) -> list[Device]:
    site = fields.pop("site", None) or make_site()
    return [make_device(site=site, **fields) for _ in range(count)]


def pks(devices: list[Device]) -> list[int]:
    return [device.pk for device in devices]


def column(name: str) -> list:
    return list(Device.objects.order_by("pk").values_list(name, flat=True))


MANY = {
    "suspend": (services.suspend_devices, {}, "device_suspended"),
    "resume": (services.resume_devices, {"lifecycle_state": "suspended"}, "device_resumed"),
    "retire": (services.retire_devices, {}, "device_retired"),
    "rotate": (services.rotate_keys_of_devices, {}, "device_key_created"),
}


@pytest.mark.parametrize("name", MANY)
def test_each_is_changed_as_alone_and_told_of(name):
    change, fields, event = MANY[name]
    admin = make_user(role=Role.ADMIN)
    alone, *rest = make_fleet(4, **fields)
    one_by_one = {
        "suspend": services.suspend_device,
        "resume": services.resume_device,
        "retire": services.retire_device,
        "rotate": services.rotate_key,
    }
    one_by_one[name](device=alone, actor=admin)

    tally = change(pks=pks(rest), actor=admin)

    assert (tally.asked, tally.done) == (3, 3)
    assert len(set(column("lifecycle_state"))) == 1
    assert len(set(column("is_active"))) == 1
    told = AuditLog.objects.order_by("pk")
    assert [row.event_type for row in told] == [event] * 4
    assert [row.device_id for row in told] == pks([alone, *rest])
    if name != "rotate":
        assert len({str((row.old_values, row.new_values)) for row in told}) == 1


@pytest.mark.parametrize("count", [2, 9])
def test_step_takes_constant_statements(count, count_statements):
    admin = make_user(role=Role.ADMIN)
    for fields, change, statements in (
        # 1. devices, 2. their keys, 3. and 4. what ends, 5. new keys, 6. the audit log
        ({}, services.rotate_keys_of_devices, 6),
        # 1. devices, 2. the change, 3. the audit log
        ({"lifecycle_state": "suspended"}, services.resume_devices, 3),
    ):
        devices = make_fleet(count, **fields)
        with count_statements(statements):
            change(pks=pks(devices), actor=admin)
    devices = make_fleet(count, status="online", last_seen=timezone.now())
    until = timezone.now() + timedelta(hours=1)
    # 1. devices, 2. whose status is due, 3. whether the service was away, 4. the change, 5. flips,
    # 6. the audit log
    with count_statements(6):
        services.maintain_devices(pks=pks(devices), until=until, actor=admin)


def test_maintenance_of_many_is_as_of_one(monkeypatch):
    monkeypatch.setattr(steps, "STEP_ROWS", 2)
    admin, now = make_user(role=Role.ADMIN), timezone.now()
    fleet = make_fleet(3, status="online", last_seen=now)
    fleet += make_fleet(1, status="error", last_seen=now, bad_checks=1)
    silent_at = now - timedelta(minutes=9)
    silent = make_device(
        status="online", last_seen=now - timedelta(hours=1), status_due_at=silent_at
    )
    until = now + timedelta(hours=1)

    everything = pks([*fleet, silent])
    assert services.maintain_devices(pks=everything, until=until, actor=admin).done == 5
    assert services.maintain_devices(pks=everything, until=until, actor=admin).done == 0

    assert set(column("status")) == {DeviceStatus.MAINTENANCE}
    assert set(column("maintenance_until")) == {until}
    # Its silence was not written down yet.
    flips = StatusChange.objects.filter(device=silent).order_by("pk")
    assert list(flips.values_list("old_status", "new_status")) == [
        ("online", "offline"),
        ("offline", "maintenance"),
    ]

    assert services.maintain_devices(pks=everything, until=None, actor=admin).done == 5
    assert column("status") == ["online", "online", "online", "error", "offline"]
    assert set(column("maintenance_until")) == {None}


def test_keys_of_many_are_valid_and_told_once():
    admin = make_user(role=Role.ADMIN)
    used, unused = make_fleet(2)
    make_credential(used, last_used_at=timezone.now())
    make_credential(unused)

    tally = services.rotate_keys_of_devices(pks=pks([used, unused]), actor=admin)

    assert [device_id for device_id, _ in tally.keys] == [used.device_id, unused.device_id]
    for device, (_, key) in zip((used, unused), tally.keys, strict=True):
        assert DeviceCredential.objects.get(key_digest=digest_of(key)).device == device
        assert key not in str(AuditLog.objects.values())
    assert used.credentials.filter(revoked_at=None).count() == 2
    assert unused.credentials.filter(revoked_at=None).count() == 1


def test_what_is_not_in_scope_or_not_fit_is_left():
    mine, theirs = make_site(), make_device()
    operator = make_user(role=Role.OPERATOR, site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=operator, site=mine)
    active, suspended, retired = (
        make_device(site=mine, lifecycle_state=state)
        for state in (LifecycleState.ACTIVE, LifecycleState.SUSPENDED, LifecycleState.RETIRED)
    )

    tally = services.suspend_devices(pks=pks([active, suspended, retired, theirs]), actor=operator)

    assert (tally.asked, tally.done) == (4, 1)
    theirs.refresh_from_db()
    assert theirs.lifecycle_state == LifecycleState.ACTIVE
    assert [row.device_id for row in AuditLog.objects.all()] == [active.pk]


def test_ranges_hold_any_keys():
    for keys in ([1], [1, 2, 3], [9, 3, 4, 5, 7, 3]):
        assert from_ranges(as_ranges(keys), at_most=10) == sorted(set(keys))
    for odd in ("", "x", "3-1", "1-99999999999", "-1", "1,", f"{2**63}"):
        with pytest.raises(ValueError):  # noqa: PT011
            from_ranges(odd, at_most=10)


# On the list of the admin


def test_whole_filtered_list_is_named_counted_and_suspended(staff, monkeypatch):
    monkeypatch.setattr("devices.admin.device.DeviceAdmin.list_per_page", 5)
    fleet = make_fleet(23, device_type="kiosk")
    other = make_device(device_type="printer")
    browser = staff(Role.OPERATOR)
    path = f"{LIST}?device_type__exact=kiosk"
    page = browser.get(path)
    assert "Select the whole list: 23 devices" in page.content.decode()
    chosen = {"action": "suspend_selected", ACTION_CHECKBOX_NAME: fleet[0].pk, **ALL}

    asked = browser.post(path, chosen)

    text = asked.content.decode()
    assert "Suspend: 23 devices" in text
    assert sum(str(device) in text for device in fleet) == 20
    assert "and 3 more" in text
    assert set(column("lifecycle_state")) == {"active"}

    # Somebody adds one that fits, and leaves the page open for long.
    late = make_device(device_type="kiosk")
    hidden = dict(asked.context["hidden"])
    done = browser.post(path, hidden | {"confirmed": "yes"})
    assert done.url == path
    assert [str(message) for message in get_messages(done.wsgi_request)] == [
        "Suspended: 23 devices."
    ]
    active = Device.objects.filter(lifecycle_state="active")
    assert set(active) == {other, late}
    assert AuditLog.objects.filter(event_type="device_suspended").count() == 23


def test_what_takes_long_goes_on_over_several_requests_and_says_how_far_it_is(staff, monkeypatch):
    monkeypatch.setattr(commands, "SECONDS_AT_ONCE", 0)
    monkeypatch.setattr(commands, "STEP_ROWS", 2)
    devices = make_fleet(5)
    # One that is as it should be is left, and counted, whichever request comes to it.
    services.suspend_device(device=devices[0], actor=None)
    browser = staff(Role.OPERATOR)
    sent = {"action": "suspend_selected", ACTION_CHECKBOX_NAME: pks(devices)}
    page = browser.post(LIST, sent)
    sent = {"confirmed": "yes", **dict(page.context["hidden"])}
    seen = []
    while (page := browser.post(LIST, sent)).status_code == 200:
        text = page.content.decode()
        seen.append((page.context["seen"], page.context["done"], page.context["left"]))
        assert f"{seen[-1][0]} of 5 devices" in text
        # What was done is done, and told of, wherever somebody stops.
        assert AuditLog.objects.filter(actor_kind="user").count() == seen[-1][0] - 1
        sent = dict(page.context["hidden"])
    assert seen == [
        (2, "Suspended: 1 device.", "3 devices"),
        (4, "Suspended: 3 devices.", "1 device"),
    ]
    assert set(column("lifecycle_state")) == {LifecycleState.SUSPENDED}
    told = [str(message) for message in get_messages(page.wsgi_request)]
    assert told == ["Suspended: 4 devices.", "Left as they were: 1 device."]


def test_selected_rows_alone_are_changed(staff):
    first, second, third = make_fleet(3)
    suspended = make_device(lifecycle_state="suspended")
    browser = staff(Role.OPERATOR)
    chosen = {"action": "suspend_selected", ACTION_CHECKBOX_NAME: pks([first, third, suspended])}
    hidden = dict(browser.post(LIST, chosen).context["hidden"])
    done = browser.post(LIST, hidden | {"confirmed": "yes"})
    assert {str(message) for message in get_messages(done.wsgi_request)} == {
        "Suspended: 2 devices.",
        "Left as they were: 1 device.",
    }
    second.refresh_from_db()
    assert second.lifecycle_state == LifecycleState.ACTIVE


def test_new_keys_of_many_are_on_the_page_that_answers(staff):
    fleet = make_fleet(3)
    browser = staff(Role.OPERATOR)
    chosen = {"action": "rotate_key_selected", ACTION_CHECKBOX_NAME: pks(fleet)}
    hidden = dict(browser.post(LIST, chosen).context["hidden"])
    page = browser.post(LIST, hidden | {"confirmed": "yes"})
    heading, *lines = page.context["keys"].splitlines()
    assert "no-store" in page["Cache-Control"]
    assert heading == "device_id,api_key"
    assert [line.partition(",")[0] for line in lines] == [device.device_id for device in fleet]
    assert DeviceCredential.objects.count() == 3


def test_form_of_many_says_what_is_wrong_and_keeps_the_choice(staff):
    fleet = make_fleet(2)
    browser = staff(Role.OPERATOR)
    chosen = {"action": "maintain_selected", ACTION_CHECKBOX_NAME: pks(fleet)}
    hidden = dict(browser.post(LIST, chosen).context["hidden"])
    again = browser.post(LIST, hidden | {"confirmed": "yes", "until": "soon"})
    assert "Write a time as" in again.content.decode()
    hidden = dict(again.context["hidden"])
    browser.post(LIST, hidden | {"confirmed": "yes", "duration": "60"})
    assert set(column("status")) == {DeviceStatus.MAINTENANCE}


@pytest.mark.parametrize("chosen", ["x", "1-99999999", "", "-5"])
def test_odd_choices_are_refused(staff, chosen):
    make_device()
    data = {"action": "suspend_selected", "chosen": chosen, "confirmed": "yes"}
    assert staff(Role.OPERATOR).post(LIST, data).status_code == 400


@pytest.mark.parametrize("action", ["nothing", "suspend_selected"])
def test_viewers_are_offered_no_action(staff, action):
    device = make_device()
    data = {"action": action, "chosen": str(device.pk), "confirmed": "yes"}
    assert staff(Role.VIEWER).post(LIST, data).status_code == 400
    assert column("lifecycle_state") == ["active"]


def test_more_than_the_limit_is_not_begun(staff, monkeypatch):
    monkeypatch.setattr("homepot.admin.commands.MOST_AT_ONCE", 2)
    fleet = make_fleet(3)
    chosen = {"action": "retire_selected", ACTION_CHECKBOX_NAME: pks(fleet)}
    answer = staff(Role.OPERATOR).post(LIST, chosen, follow=True)
    assert "At most 2 at once" in answer.content.decode()


def test_site_page_puts_its_devices_into_maintenance_and_back(staff):
    site = make_site(name="Harbour")
    fleet = make_fleet(2, site=site, status="online", last_seen=timezone.now())
    other = make_device(status="online")
    browser = staff(Role.OPERATOR)
    site_page = f"/admin/sites/site/{site.pk}/change/"
    path = f"{LIST}site-maintenance/?site={site.pk}"
    assert path in browser.get(site_page).content.decode()
    asked = browser.get(path)
    assert all(str(device) in asked.content.decode() for device in fleet)
    assert str(other) not in asked.content.decode()

    hidden = dict(asked.context["hidden"])
    done = browser.post(path, hidden | {"confirmed": "yes", "duration": "60"})
    assert done.url == site_page
    assert column("status") == ["maintenance", "maintenance", "online"]

    path = f"{LIST}end-site-maintenance/?site={site.pk}"
    hidden = dict(browser.get(path).context["hidden"])
    browser.post(path, hidden | {"confirmed": "yes"})
    assert column("status") == ["online", "online", "online"]


@pytest.mark.parametrize("site", ["", "x", "0", "9" * 30])
def test_maintenance_of_odd_sites_is_not_found(staff, site):
    assert staff(Role.OPERATOR).get(f"{LIST}site-maintenance/", {"site": site}).status_code == 404


def test_until_is_read_in_utc_for_many(staff):
    fleet = make_fleet(2)
    browser = staff(Role.OPERATOR)
    chosen = {"action": "maintain_selected", ACTION_CHECKBOX_NAME: pks(fleet)}
    hidden = dict(browser.post(LIST, chosen).context["hidden"])
    until = (timezone.now() + timedelta(days=1)).replace(second=0, microsecond=0)
    sent = {"confirmed": "yes", "until": f"{until:%Y-%m-%dT%H:%M}"}
    browser.post(LIST, hidden | sent)
    stored: set[datetime] = set(column("maintenance_until"))
    assert stored == {until}
