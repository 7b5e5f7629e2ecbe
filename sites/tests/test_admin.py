from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.messages import get_messages
from django.utils import timezone

from accounts.enums import Role
from accounts.keys import digest_of
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.enums import LifecycleState
from devices.tests.factories import make_device
from homepot.testing.forms import filled_in
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

LIST = "/admin/sites/site/"
ADD = f"{LIST}add/"
SCRIPT = "<script>alert(1)</script>"


def site_page(site: Site) -> str:
    return f"{LIST}{site.pk}/change/"


def audit_of(site: Site) -> AuditLog:
    """The only row of the audit log about `site`."""
    return AuditLog.objects.get(site=site, target_type="site")


@pytest.mark.parametrize("rows", [1, 3])
def test_list_takes_four_statements(staff, rows, count_statements):
    browser = staff(Role.VIEWER)
    for _ in range(rows):
        make_device()
    # 1. session, 2. account, 3. sites, 4. how many devices each has
    with count_statements(4):
        page = browser.get(LIST)
    assert page.content.count(b"1 device<") == rows


def test_list_leaves_retired_sites_out_unless_asked(staff):
    browser = staff(Role.VIEWER)
    make_site(name="Still Open")
    make_site(name="Long Gone", is_active=False)
    assert b"Long Gone" not in browser.get(LIST).content
    assert b"Still Open" not in browser.get(LIST, {"use": "retired"}).content
    both = browser.get(LIST, {"use": "any"}).content
    assert b"Long Gone" in both
    assert b"Still Open" in both


@pytest.mark.parametrize(
    ("searched", "found"),
    [("site-xyz", True), ("harbour", True), ("quay", True), ("elsewhere", False)],
)
def test_list_searches_id_name_and_location(staff, searched, found):
    make_site(site_id="site-xyz", name="Harbour", location="Quay 3")
    assert (b"site-xyz" in browser_list(staff, searched)) == found


def browser_list(staff, searched: str) -> bytes:
    page = staff(Role.VIEWER).get(LIST, {"q": searched})
    return page.content.partition(b'id="result_list"')[2]


def test_add_makes_a_site_and_one_audit_row(staff):
    browser = staff(Role.OPERATOR)
    page = browser.get(ADD)
    answer = browser.post(ADD, filled_in(page, name="Harbour", timezone="Europe/Lisbon"))
    site = Site.objects.get()
    assert answer.status_code == 302
    assert site.site_id.startswith("site-")
    assert (site.name, site.timezone) == ("Harbour", "Europe/Lisbon")
    row = audit_of(site)
    assert row.event_type == AuditEvent.SITE_CREATED
    assert row.user == answer.wsgi_request.user
    assert row.new_values == {"name": "Harbour", "timezone": "Europe/Lisbon"}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "Bell\x07"}, "control characters"),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"site_id": "no spaces"}, "Use letters, digits"),
        ({"site_id": "taken"}, "already exists"),
        ({"timezone": "Mars/Olympus"}, "Select a valid choice"),
        ({"latitude": "90.1"}, "less than or equal to 90"),
        ({"longitude": "-180.1"}, "greater than or equal to -180"),
        ({"latitude": "nan"}, "Enter a number"),
    ],
)
def test_add_refuses_bad_input_and_keeps_it(staff, fields, complaint):
    make_site(site_id="taken")
    browser = staff(Role.OPERATOR)
    values = {"name": "Harbour", "location": "Quay 3"} | fields
    page = browser.post(ADD, filled_in(browser.get(ADD), **values))
    assert page.status_code == 200
    assert complaint in page.content.decode()
    assert "Quay 3" in page.content.decode()
    assert Site.objects.count() == 1


def test_change_writes_the_changed_fields_and_one_audit_row(staff):
    site = make_site(name="Harbour", location="Quay 3")
    browser = staff(Role.OPERATOR)
    page = browser.get(site_page(site))
    Site.objects.filter(pk=site.pk).update(location="Quay 4")  # meanwhile, by somebody else
    browser.post(site_page(site), filled_in(page, name="Old Harbour", location="Quay 3"))
    site.refresh_from_db()
    assert (site.name, site.location) == ("Old Harbour", "Quay 3")
    row = audit_of(site)
    assert row.event_type == AuditEvent.SITE_UPDATED
    assert row.old_values == {"name": "Harbour", "location": "Quay 4"}


def test_change_of_nothing_writes_nothing(staff):
    site = make_site(name="Harbour")
    browser = staff(Role.OPERATOR)
    browser.post(site_page(site), filled_in(browser.get(site_page(site))))
    assert not AuditLog.objects.filter(site=site).exists()


def test_change_cannot_change_the_id(staff):
    site = make_site(site_id="harbour")
    browser = staff(Role.ADMIN)
    browser.post(site_page(site), filled_in(browser.get(site_page(site)), site_id="other"))
    site.refresh_from_db()
    assert site.site_id == "harbour"


def test_retired_site_is_shown_but_cannot_be_changed(staff):
    site = make_site(name="Long Gone", is_active=False)
    browser = staff(Role.ADMIN)
    page = browser.get(site_page(site))
    assert b"Long Gone" in page.content
    assert b'name="_save"' not in page.content
    assert b"/retire/" not in page.content
    assert browser.post(site_page(site), {"name": "Back"}).status_code == 403


def test_site_that_is_retired_meanwhile_refuses_the_change_on_the_page(staff, monkeypatch):
    site = make_site(name="Harbour")
    browser = staff(Role.OPERATOR)
    data = filled_in(browser.get(site_page(site)), name="Old Harbour")
    # Between the form's checks and the service's.
    monkeypatch.setattr(
        "sites.admin.site.SiteAdmin.has_change_permission", lambda self, request, obj=None: True
    )
    Site.objects.filter(pk=site.pk).update(is_active=False)
    page = browser.post(site_page(site), data)
    assert page.status_code == 200
    assert "is retired and cannot be changed" in page.content.decode()
    assert b'value="Old Harbour"' in page.content


def test_retire_asks_first_and_leaves_one_audit_row_each(staff):
    sites = [make_site(), make_site()]
    browser = staff(Role.OPERATOR)
    chosen = {"action": "retire_selected", ACTION_CHECKBOX_NAME: [site.pk for site in sites]}
    page = browser.post(LIST, chosen)
    assert page.status_code == 200
    assert all(str(site) in page.content.decode() for site in sites)
    assert Site.objects.active().count() == 2

    browser.post(LIST, chosen | {"confirmed": "yes"})
    assert not Site.objects.active().exists()
    assert [audit_of(site).event_type for site in sites] == [AuditEvent.SITE_RETIRED] * 2


def test_retire_says_which_sites_it_had_to_leave(staff):
    device = make_device()
    empty = make_site()
    browser = staff(Role.OPERATOR)
    chosen = [device.site.pk, empty.pk]
    answer = browser.post(
        LIST,
        {"action": "retire_selected", ACTION_CHECKBOX_NAME: chosen, "confirmed": "yes"},
    )
    texts = [str(message) for message in get_messages(answer.wsgi_request)]
    assert f"Site {device.site.site_id} has 1 active device" in texts[0]
    assert texts[1] == "Retired: 1 site."
    assert list(Site.objects.active()) == [device.site]


def test_retire_on_the_page_of_a_site(staff):
    site = make_site()
    browser = staff(Role.OPERATOR)
    assert b"Retire" in browser.get(site_page(site)).content
    asked = browser.get(f"{LIST}{site.pk}/retire/")
    assert asked.status_code == 200
    assert Site.objects.active().exists()
    done = browser.post(f"{LIST}{site.pk}/retire/", {"confirmed": "yes"})
    assert done.url == site_page(site)
    assert not Site.objects.active().exists()


@pytest.mark.parametrize(("lifetime", "hours"), [("168", 168), ("", None)])
def test_enrolment_key_is_shown_once(staff, lifetime, hours):
    site, browser = make_site(), staff(Role.OPERATOR)
    path = f"{LIST}{site.pk}/make-enrolment-key/"
    assert "let themselves in" in browser.get(path).content.decode()

    page = browser.post(path, {"confirmed": "yes", "lifetime": lifetime})

    site.refresh_from_db()
    key = page.context["keys"]
    assert page.content.decode().count(key) == 1
    assert "no-store" in page["Cache-Control"]
    assert site.enrolment_key == digest_of(key)
    assert key not in str(AuditLog.objects.values())
    assert key not in browser.get(site_page(site)).content.decode()
    if hours is None:
        assert site.enrolment_key_expires_at is None
    else:
        remaining = site.enrolment_key_expires_at - timezone.now()
        assert abs(remaining - timedelta(hours=hours)) < timedelta(minutes=1)


def test_enrolment_key_is_revoked_after_asking(staff):
    site = make_site(enrolment_key=digest_of("hpe_x"), enrolment_key_hint="hpe_x")
    browser = staff(Role.OPERATOR)
    path = f"{LIST}{site.pk}/revoke-enrolment-key/"
    assert path in browser.get(site_page(site)).content.decode()
    browser.get(path)
    site.refresh_from_db()
    assert site.enrolment_key is not None
    browser.post(path, {"confirmed": "yes"})
    site.refresh_from_db()
    assert site.enrolment_key is None
    assert path not in browser.get(site_page(site)).content.decode()


def test_nothing_is_deleted(staff):
    site = make_site()
    browser = staff(Role.ADMIN)
    assert browser.post(f"{LIST}{site.pk}/delete/", {"post": "yes"}).status_code == 403
    browser.post(LIST, {"action": "delete_selected", ACTION_CHECKBOX_NAME: site.pk, "post": "yes"})
    assert Site.objects.exists()


def test_viewer_may_look_but_not_touch(staff):
    site = make_site(name="Harbour")
    browser = staff(Role.VIEWER)
    page = browser.get(site_page(site))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    assert b"/retire/" not in page.content
    assert browser.get(ADD).status_code == 403
    assert browser.post(ADD, {"name": "New"}).status_code == 403
    assert browser.post(site_page(site), {"name": "Old"}).status_code == 403
    assert browser.get(f"{LIST}{site.pk}/retire/").status_code == 403
    assert browser.post(f"{LIST}{site.pk}/retire/", {"confirmed": "yes"}).status_code == 403
    chosen = {"action": "retire_selected", ACTION_CHECKBOX_NAME: site.pk, "confirmed": "yes"}
    browser.post(LIST, chosen)
    assert Site.objects.active().exists()


def test_field_of_a_device_offers_sites_in_use_only(staff):
    make_site(name="Harbour")
    make_site(name="Harbour, gone", is_active=False)
    answer = staff(Role.OPERATOR).get(
        "/admin/autocomplete/",
        {"app_label": "devices", "model_name": "device", "field_name": "site", "term": "harbour"},
    )
    assert [result["text"].partition(" (")[0] for result in answer.json()["results"]] == ["Harbour"]


def test_what_people_write_is_shown_as_text(staff):
    site = make_site(name=SCRIPT, location=SCRIPT, description=SCRIPT)
    browser = staff(Role.OPERATOR)
    for path in (LIST, site_page(site), f"{LIST}{site.pk}/retire/", "/admin/"):
        assert SCRIPT not in browser.get(path).content.decode()


def test_device_count_leaves_retired_devices_out(staff):
    site = make_site()
    make_device(site=site)
    make_device(site=site, lifecycle_state=LifecycleState.RETIRED)
    assert b"1 device<" in staff(Role.VIEWER).get(LIST).content
