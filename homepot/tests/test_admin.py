from __future__ import annotations

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry

from accounts.enums import Role
from audit import services as audit
from audit.enums import AuditEvent
from devices.models import Device
from devices.tests.factories import (
    make_device,
    make_event,
    make_health_check,
    make_status_change,
)
from homepot.testing.forms import filled_in
from jobs.tests.factories import make_job
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

LISTS = (
    "/admin/sites/site/",
    "/admin/devices/device/",
    "/admin/devices/healthcheck/",
    "/admin/devices/statuschange/",
    "/admin/devices/deviceevent/",
    "/admin/jobs/job/",
    "/admin/accounts/user/",
    "/admin/audit/auditlog/",
)
HUGE = "9" * 30
ODD_QUERIES = (
    "q=%25_'%22\\",
    f"q={'x' * 5000}",
    "o=1.-2.3",
    "o=99.x.-",
    f"o={HUGE}",
    f"p={HUGE}",
    "p=-1",
    "p=x",
    f"id={HUGE}",
    f"id__in={HUGE},1",
    "id=x",
    "pk__gt=1",
    f"site__id__exact={HUGE}",
    "site__id__exact=x",
    f"device__id__exact={HUGE}",
    "device__id__exact=x&device__id__exact=1",
    "status=x",
    "status__exact=x",
    "is_healthy__exact=2",
    "is_active__exact=x",
    "created_at__gt=x",
    "created_at_from=x&created_at_to=0001-01-01",
    "created_at_from=9999-12-31&created_at_to=9999-12-31",
    "checked_at_from=0001-01-01",
    "use=x",
    "since=x",
    "at_from=x&at_to=0001-01-01",
    "cursor=x",
    "nothing=1",
    "_popup=1",
    "_to_field=id",
    "all=",
    "e=1",
    "_facets=True",
)


@pytest.fixture
def fleet():
    device = make_device()
    make_health_check(device=device)
    make_status_change(device)
    make_event(device)
    make_job(site=device.site)
    audit.record(event=AuditEvent.DEVICE_UPDATED, actor=None, target=device)


def test_titles_say_what_a_page_shows_and_not_what_to_do_with_it(staff, fleet):
    for role in (Role.ADMIN, Role.VIEWER):
        browser = staff(role)
        assert browser.get("/admin/devices/device/").context["title"] == "Devices"
        device = Device.objects.get()
        page = browser.get(f"/admin/devices/device/{device.pk}/change/")
        assert page.context["title"] == "Device"


@pytest.mark.parametrize("path", LISTS)
def test_odd_queries_do_not_crash_a_list(staff, fleet, path):
    browser = staff(Role.ADMIN)
    for query in ODD_QUERIES:
        assert browser.get(f"{path}?{query}").status_code in (200, 302, 400), query
    assert browser.get(path).status_code == 200


@pytest.mark.parametrize("key", [HUGE, "x", "-1"])
def test_odd_choices_do_not_crash_an_action(staff, key):
    choice = {"action": "retire_selected", ACTION_CHECKBOX_NAME: key}
    assert staff(Role.ADMIN).post("/admin/devices/device/", choice).status_code == 400


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("page", ["change/", "history/", "delete/", "retire/", "create-api-key/"])
def test_odd_keys_do_not_crash_a_page(staff, path, page):
    browser = staff(Role.ADMIN)
    for key in ("0", HUGE, "x", "1_2F", "..", "1/2"):
        assert browser.get(f"{path}{key}/{page}").status_code in (302, 403, 404), key


@pytest.mark.parametrize("path", LISTS)
def test_lists_say_the_time_zone_and_need_nothing_from_outside(staff, fleet, path):
    page = staff(Role.ADMIN).get(path).content.decode()
    assert " UTC<" in page
    for outside in ("https://", "http://", "//cdn"):
        assert f'src="{outside}' not in page
        assert f'<link href="{outside}' not in page


@pytest.mark.parametrize(
    "path",
    [
        "/admin/devices/device/add/?site=x&name=y",
        f"/admin/devices/device/add/?site={HUGE}",
        f"/admin/accounts/user/add/?sites={HUGE}",
        "/admin/search/?s=devices",
        "/admin/search/?s=devices&page=x",
        f"/admin/search/?s=devices&page={HUGE}",
        "/admin/autocomplete/?app_label=x",
        f"/admin/autocomplete/?app_label=devices&model_name=device&field_name=site&page={HUGE}",
        "/admin/r/x/y/",
    ],
)
def test_odd_addresses_do_not_crash(staff, path):
    assert staff(Role.ADMIN).get(path).status_code in (200, 403, 404)


@pytest.mark.parametrize("key", [HUGE, "x", "-1"])
def test_odd_references_do_not_crash_a_form(staff, key):
    browser = staff(Role.ADMIN)
    for path, field in (("devices/device", "site"), ("accounts/user", "sites")):
        page = browser.post(f"/admin/{path}/add/", {field: key, "name": "x"})
        assert page.status_code == 200


def test_link_can_say_where_a_new_device_stands(staff):
    site = make_site(name="Harbour")
    page = staff(Role.OPERATOR).get("/admin/devices/device/add/", {"site": site.pk})
    assert "Harbour" in page.content.decode()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("lookup", ["enrolment_key__startswith", "user__password__startswith"])
def test_secrets_cannot_be_guessed_by_lookups(staff, path, lookup):
    assert staff(Role.ADMIN).get(path, {lookup: "a"}).status_code in (302, 400)


def test_only_the_audit_log_keeps_a_history(staff):
    browser = staff(Role.ADMIN)
    add = "/admin/sites/site/add/"
    browser.post(add, filled_in(browser.get(add), name="Harbour"))
    assert not LogEntry.objects.exists()
    assert "Recent actions" not in browser.get("/admin/").content.decode()


def test_refusals_are_pages_of_their_own(staff):
    browser = staff(Role.VIEWER)
    forbidden = browser.get("/admin/accounts/user/")
    assert forbidden.status_code == 403
    assert "This is not for your account" in forbidden.content.decode()
    missing = browser.get("/admin/nowhere/")
    assert missing.status_code == 404
    assert "There is nothing here" in missing.content.decode()


def test_sign_in_leads_to_the_overview(client):
    page = client.get("/admin/", follow=True)
    assert page.redirect_chain == [("/admin/login/?next=/admin/", 302)]
    assert "HOMEPOT" in page.content.decode()
