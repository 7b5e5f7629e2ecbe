"""What staff do to devices on their pages, one at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.enums import Role, SiteAccess
from accounts.keys import digest_of
from accounts.models import SiteMembership
from accounts.tests.factories import make_user
from audit.models import AuditLog
from devices.enums import LifecycleState
from devices.models import Device, DeviceCredential
from devices.tests.factories import make_credential, make_device
from homepot.testing.forms import filled_in
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

ADD = "/admin/devices/device/add/"
CONFIRMED = {"confirmed": "yes"}
COMMANDS = (
    "maintenance",
    "end-maintenance",
    "suspend",
    "resume",
    "rotate-key",
    "revoke-keys",
    "transfer",
    "re-enrol",
    "retire",
)


def page_of(device: Device, command: str = "change") -> str:
    return f"/admin/devices/device/{device.pk}/{command}/"


def shown_key(page: Any) -> str:
    """The key on the only page that shows it, which nothing may keep."""
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    key: str = page.context["keys"]
    assert page.content.decode().count(key) == 1
    return key


def is_kept(key: str, browser: Any) -> bool:
    """Whether `key` can be found in the database, a cookie or a session."""
    kept = [
        *AuditLog.objects.values_list("new_values", "event_metadata", "description"),
        *(session.get_decoded() for session in Session.objects.all()),
        *(cookie.OutputString() for cookie in browser.cookies.values()),
    ]
    return key in str(kept)


def test_add_shows_the_key_once(staff):
    site, browser = make_site(), staff(Role.OPERATOR)
    data = filled_in(browser.get(ADD), site=site.pk, name="Till 1", device_type="kiosk")

    key = shown_key(browser.post(ADD, data))

    credential = DeviceCredential.objects.get(device__name="Till 1")
    assert credential.key_digest == digest_of(key)
    assert not is_kept(key, browser)
    assert key not in browser.get(page_of(credential.device)).content.decode()


@pytest.mark.parametrize("command", ["rotate-key", "re-enrol"])
def test_new_key_is_shown_once(staff, command):
    device, browser = make_device(), staff(Role.OPERATOR)
    asked = browser.get(page_of(device, command))
    assert not DeviceCredential.objects.exists()
    assert "new key" in asked.content.decode()

    key = shown_key(browser.post(page_of(device, command), CONFIRMED))

    assert DeviceCredential.objects.get(device=device).key_digest == digest_of(key)
    assert not is_kept(key, browser)


@pytest.mark.parametrize(
    ("before", "command", "column", "after"),
    [
        ({}, "suspend", "lifecycle_state", LifecycleState.SUSPENDED),
        ({"lifecycle_state": "suspended"}, "resume", "lifecycle_state", LifecycleState.PENDING),
        ({}, "retire", "is_active", False),
        ({"maintenance_until": datetime(2199, 1, 1, tzinfo=UTC)}, "end-maintenance",
         "maintenance_until", None),
    ],
)  # fmt: skip
def test_command_asks_before_it_does(staff, before, command, column, after):
    device, browser = make_device(**before), staff(Role.OPERATOR)
    assert f'href="{page_of(device, command)}"' in browser.get(page_of(device)).content.decode()

    asked = browser.get(page_of(device, command))
    device.refresh_from_db()
    assert str(device) in asked.content.decode()
    assert getattr(device, column) != after

    done = browser.post(page_of(device, command), CONFIRMED, follow=True)
    device.refresh_from_db()
    assert getattr(device, column) == after
    assert f"{asked.context['title'].partition(':')[0]}" in asked.content.decode()
    assert f": {device}." in done.content.decode()


def test_revoke_ends_every_key(staff):
    device = make_device()
    make_credential(device)
    staff(Role.OPERATOR).post(page_of(device, "revoke-keys"), CONFIRMED)
    assert DeviceCredential.objects.get().revoked_at is not None


def test_transfer_moves_to_a_site_in_scope(staff):
    device, harbour = make_device(name="Till 1"), make_site(name="Harbour")
    taken = make_device(name="Till 1")
    browser = staff(Role.OPERATOR)
    path = page_of(device, "transfer")
    for site, complaint in ((taken.site.pk, "rename one of them"), ("9" * 30, "required")):
        page = browser.post(path, CONFIRMED | {"site": site})
        assert complaint in page.content.decode()
    browser.post(path, CONFIRMED | {"site": harbour.pk})
    device.refresh_from_db()
    assert device.site == harbour


def test_maintenance_lasts_as_long_as_was_said(staff):
    device = make_device()
    staff(Role.OPERATOR).post(page_of(device, "maintenance"), CONFIRMED | {"duration": "120"})
    device.refresh_from_db()
    in_two_hours = timezone.now() + timedelta(hours=2)
    assert abs(device.maintenance_until - in_two_hours) < timedelta(minutes=1)


def test_maintenance_ends_by_the_clocks_of_the_site(staff):
    device = make_device(site=make_site(timezone="Asia/Tokyo"))
    browser = staff(Role.OPERATOR)
    there = timezone.now() + timedelta(days=1, hours=9)
    until = f"{there:%Y-%m-%dT%H:%M}"
    path = page_of(device, "maintenance")
    assert "Asia/Tokyo" in browser.get(path).content.decode()
    browser.post(path, CONFIRMED | {"until": until})
    device.refresh_from_db()
    expected = there.replace(second=0, microsecond=0) - timedelta(hours=9)
    assert device.maintenance_until == expected


@pytest.mark.parametrize(
    ("until", "complaint"),
    [
        ("", "Say until when"),
        ("soon", "Write a time as"),
        ("2001-01-01T00:00", "Choose a time ahead"),
        ("2199-01-01T00:00", "Choose a time ahead"),
    ],
)
def test_maintenance_refuses_odd_times(staff, until, complaint):
    device = make_device()
    page = staff(Role.OPERATOR).post(page_of(device, "maintenance"), CONFIRMED | {"until": until})
    assert complaint in page.content.decode()
    device.refresh_from_db()
    assert device.maintenance_until is None


@pytest.mark.parametrize(
    ("before", "command", "complaint"),
    [
        ({"lifecycle_state": "suspended"}, "suspend", "is suspended already"),
        ({}, "resume", "only suspended devices can be resumed"),
        ({"lifecycle_state": "retired"}, "rotate-key", "is retired and cannot be changed"),
    ],
)
def test_refusal_of_the_service_is_shown(staff, before, command, complaint):
    device, browser = make_device(**before), staff(Role.OPERATOR)
    assert page_of(device, command) not in browser.get(page_of(device)).content.decode()
    answer = browser.post(page_of(device, command), CONFIRMED, follow=True)
    assert complaint in answer.content.decode()
    assert not AuditLog.objects.filter(device=device).exists()


def test_retired_device_can_be_re_enrolled_only(staff):
    device = make_device(lifecycle_state=LifecycleState.RETIRED)
    page = staff(Role.OPERATOR).get(page_of(device)).content.decode()
    offered = {command for command in COMMANDS if page_of(device, command) in page}
    assert offered == {"re-enrol"}


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_for_operators_of_the_site(staff, client, command):
    device = make_device()
    browser = staff(Role.VIEWER)
    assert browser.post(page_of(device, command), CONFIRMED).status_code == 403
    elsewhere = make_user(role=Role.OPERATOR, site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=elsewhere, site=make_site())
    client.force_login(elsewhere)
    assert client.post(page_of(device, command), CONFIRMED).status_code == 404
    changed = Device.objects.get(pk=device.pk)
    assert (changed.lifecycle_state, changed.maintenance_until) == (LifecycleState.ACTIVE, None)
