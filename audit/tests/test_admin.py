from __future__ import annotations

import pytest

from accounts.enums import Role
from audit import services as audit
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.tests.factories import make_device
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

LIST = "/admin/audit/auditlog/"
SCRIPT = "<script>alert(1)</script>"


def record(**fields) -> AuditLog:
    return audit.record(**{"event": AuditEvent.SITE_UPDATED, "actor": None} | fields)


@pytest.mark.parametrize("rows", [1, 3])
def test_list_takes_three_statements(staff, rows, count_statements):
    browser = staff(Role.VIEWER)
    for _ in range(rows):
        record(target=make_site())
    # 1. session, 2. account, 3. rows, which hold names of their own; they are not counted
    with count_statements(3):
        page = browser.get(LIST)
    assert len(page.context["cl"].result_list) == rows


def test_list_filters_and_searches(staff):
    browser = staff(Role.ADMIN)
    device = make_device(name="Till 7")
    wanted = record(event=AuditEvent.DEVICE_RETIRED, target=device)
    record(target=make_site())
    for parameters in (
        {"event_type__exact": "device_retired"},
        {"device__id__exact": device.pk},
        {"site__id__exact": device.site.pk},
        {"q": "Till 7"},
    ):
        assert list(browser.get(LIST, parameters).context["cl"].result_list) == [wanted]


def test_page_shows_before_and_after_as_text(staff):
    row = record(
        target=make_site(name=SCRIPT),
        changes={"name": (SCRIPT, "Harbour"), "config": ({"a": 1}, {"a": [SCRIPT]})},
        description=SCRIPT,
        metadata={SCRIPT: SCRIPT},
    )
    browser = staff(Role.VIEWER)
    page = browser.get(f"{LIST}{row.pk}/change/").content.decode()
    assert "Harbour" in page
    assert SCRIPT not in page
    assert SCRIPT not in browser.get(LIST).content.decode()


def test_log_is_read_only(staff):
    row = record(target=make_site())
    browser = staff(Role.ADMIN)
    path = f"{LIST}{row.pk}/"
    assert browser.post(f"{path}change/", {"description": "x"}).status_code == 403
    assert browser.get(f"{LIST}add/").status_code == 403
    assert browser.post(f"{path}delete/", {"post": "yes"}).status_code == 403
    assert browser.get(f"{path}history/").status_code == 404


def test_page_outlives_what_it_refers_to(staff):
    site = make_site(name="Harbour")
    row = record(target=site)
    site.delete()
    page = staff(Role.ADMIN).get(f"{LIST}{row.pk}/change/")
    assert page.status_code == 200
    assert "Harbour" in page.content.decode()


def test_rows_about_accounts_are_for_admins(staff):
    about_account = record(event=AuditEvent.USER_CREATED)
    about_site = record(target=make_site())
    browser = staff(Role.OPERATOR)
    assert list(browser.get(LIST).context["cl"].result_list) == [about_site]
    assert browser.get(f"{LIST}{about_account.pk}/change/").status_code == 302


def test_history_of_a_site_is_its_part_of_the_log(staff):
    site = make_site()
    row = record(target=site)
    record(target=make_site())
    browser = staff(Role.VIEWER)
    history = browser.get(f"/admin/sites/site/{site.pk}/history/")
    assert history.url == f"{LIST}?site__id__exact={site.pk}"
    assert list(browser.get(history.url).context["cl"].result_list) == [row]
