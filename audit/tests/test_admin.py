from __future__ import annotations

import csv
import io
import json
import re

import pytest

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership
from accounts.tests.factories import make_user
from audit import services as audit
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.tests.factories import make_device
from homepot.testing.plans import analyze, explained
from jobs.tests.factories import make_job
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
        {"q": "till 7"},
        {"q": device.device_id},
        {"q": device.site.site_id},
        {"q": str(device)},
    ):
        assert list(browser.get(LIST, parameters).context["cl"].result_list) == [wanted]
    assert not browser.get(LIST, {"q": "toaster"}).context["cl"].result_list


def test_search_by_who_and_by_request_uses_their_indexes(staff):
    anna = make_user(username="anna")
    site = make_site()
    fields = {"event_type": AuditEvent.SITE_UPDATED, "site_id": site.pk}
    AuditLog.objects.bulk_create(
        AuditLog(actor_label=f"user-{n % 50}", request_id=f"request-{n}", **fields)
        for n in range(3000)
    )
    told = audit.record(event=AuditEvent.SITE_UPDATED, actor=anna, target=site)
    browser = staff(Role.ADMIN)
    analyze()
    for text, index, found in (
        ("Anna", "audit_by_actor", [told]),
        ("request-7", "audit_by_request", [AuditLog.objects.get(request_id="request-7")]),
        ("user-3", "audit_by_actor", None),
        ("nobody", "audit_by_target", []),
    ):
        with explained() as plans:
            rows = browser.get(LIST, {"q": text}).context["cl"].result_list
        assert plans.use(index), text
        plans.assert_none_reads_all_of("audit_logs")
        assert found is None or list(rows) == found, text


def test_scoped_reader_finds_nothing_of_other_sites(client):
    mine, other = make_device(), make_device()
    for device in (mine, other):
        record(event=AuditEvent.DEVICE_RETIRED, target=device)
    user = make_user(role=Role.VIEWER, site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=user, site=mine.site)
    client.force_login(user)
    for device, count in ((mine, 1), (other, 0)):
        page = client.get(LIST, {"q": device.device_id})
        assert len(page.context["cl"].result_list) == count


def test_search_is_decided_by_what_the_reader_may_see(client):
    # A site begins with the word at which somebody by that name did something elsewhere.
    mine, other = make_site(name="Berlin Mitte"), make_site()
    about = {
        site: record(target=site, actor=actor)
        for site, actor in ((mine, None), (other, make_user(username="berlin")))
    }
    for site in (mine, other):
        user = make_user(role=Role.VIEWER, site_access=SiteAccess.SELECTED)
        SiteMembership.objects.create(user=user, site=site)
        client.force_login(user)
        found = client.get(LIST, {"q": "berlin"}).context["cl"].result_list
        assert list(found) == [about[site]]


def test_values_are_written_for_people(staff):
    device = make_device()
    row = record(
        event=AuditEvent.DEVICE_UPDATED,
        target=device,
        changes={
            "ip_address": (None, "192.0.2.7"),
            "device_type": ("pos_terminal", "iot_sensor"),
            "is_active": (True, False),
            "maintenance_until": (None, "2026-01-31T18:30:00Z"),
            "config_url": (None, "https://example.com/7"),
            "job_id": (None, "job-7"),
            "maintenance": (None, "planned"),
            "key_hints": ([], ["hpd_abc", "hpd_def"]),
        },
        description="Moved to the till of the bar",
    )
    browser = staff(Role.ADMIN)
    page = browser.get(f"{LIST}{row.pk}/change/").content.decode()
    table = re.sub(r"\s*<[^>]+>\s*", "|", page[page.index(">Before<") :])
    for line in (
        "IP address||-||192.0.2.7",
        "Device type||POS terminal||IoT sensor",
        "Is active||Yes||No",
        "Config URL||-||https://example.com/7",
        "Job ID||-||job-7",
        "Maintenance||-||planned",
        "Key hints||-||hpd_abc, hpd_def",
        "2026-01-31 18:30",
    ):
        assert line in table, line
    listed = browser.get(LIST).content.decode()
    assert "Device updated" in listed
    assert "Moved to the till of the bar" in listed
    assert str(device) in listed


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
    assert browser.get(f"{LIST}{about_account.pk}/change/").status_code == 404


def test_history_of_a_site_is_its_part_of_the_log(staff):
    site = make_site()
    row = record(target=site)
    record(target=make_site())
    browser = staff(Role.VIEWER)
    history = browser.get(f"/admin/sites/site/{site.pk}/history/")
    assert history.url == f"{LIST}?site__id__exact={site.pk}"
    assert list(browser.get(history.url).context["cl"].result_list) == [row]


def test_row_links_to_what_it_is_about(staff):
    actor, device = make_user(username="anna", role=Role.OPERATOR), make_device(name="Till 7")
    job = make_job(device=device, site=device.site)
    row = record(event=AuditEvent.JOB_CREATED, actor=actor, target=job)

    page = staff(Role.ADMIN).get(f"{LIST}{row.pk}/change/").content.decode()

    for path in (
        f"/admin/accounts/user/{actor.pk}/change/",
        f"/admin/sites/site/{device.site.pk}/change/",
        f"/admin/devices/device/{device.pk}/change/",
        f"/admin/jobs/job/{job.pk}/change/",
    ):
        assert f'href="{path}"' in page


def test_row_links_to_nothing_that_its_reader_may_not_see(client):
    actor, device = make_user(username="anna", role=Role.OPERATOR), make_device()
    elsewhere = make_job(site=make_site())
    row = record(actor=actor, target=device)
    AuditLog.objects.create(
        **{
            field.attname: getattr(row, field.attname)
            for field in AuditLog._meta.concrete_fields
            if field.attname not in ("id", "job_id")
        },
        job=elsewhere,
    )
    reader = make_user(site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=reader, site=device.site)
    client.force_login(reader)

    page = client.get(f"{LIST}{AuditLog.objects.first().pk}/change/").content.decode()

    assert f"/admin/devices/device/{device.pk}/change/" in page
    assert f"/admin/jobs/job/{elsewhere.pk}/change/" not in page
    assert f"/admin/accounts/user/{actor.pk}/change/" not in page


def test_export_holds_what_the_list_shows(staff):
    browser = staff(Role.ADMIN)
    wanted = record(event=AuditEvent.SITE_RETIRED, target=make_site(name="Bäckerei 東"))
    record(target=make_site())
    filters = {"event_type__exact": "site_retired", "o": "1"}
    page = browser.get(LIST, filters)
    paths = [link["path"] for link in page.context["actions_list"]]
    assert paths == [
        f"{LIST}export-csv/?event_type__exact=site_retired&o=1",
        f"{LIST}export-ndjson/?event_type__exact=site_retired&o=1",
    ]

    as_csv, as_ndjson = (b"".join(browser.get(path).streaming_content).decode() for path in paths)

    (row,) = csv.DictReader(io.StringIO(as_csv, newline=""))
    assert row["target_label"] == json.loads(as_ndjson)["target_label"] == wanted.target_label
    told = AuditLog.objects.filter(event_type=AuditEvent.DATA_EXPORTED)
    assert [log.event_metadata for log in told] == [
        {"format": "ndjson", "filters": filters},
        {"format": "csv", "filters": filters},
    ]


def test_export_keeps_to_the_scope_and_to_known_filters(client):
    mine, theirs = make_site(), make_site()
    record(target=mine)
    record(target=theirs)
    reader = make_user(site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=reader, site=mine)
    client.force_login(reader)

    (row,) = b"".join(client.get(f"{LIST}export-ndjson/").streaming_content).splitlines()

    assert json.loads(row)["site_id"] == mine.site_id
    assert client.get(f"{LIST}export-csv/", {"nonsense": "1"}).status_code == 400


def test_export_is_refused_to_accounts_without_a_role(staff):
    browser = staff(Role.NONE)
    assert browser.get(f"{LIST}export-csv/").status_code == 302  # to the sign-in page
    assert not AuditLog.objects.filter(event_type=AuditEvent.DATA_EXPORTED).exists()


def test_refused_pages_are_told_once(staff):
    browser = staff(Role.VIEWER)
    for _ in range(2):
        assert browser.get("/admin/accounts/user/").status_code == 403
    row = AuditLog.objects.get(event_type=AuditEvent.PERMISSION_REFUSED)
    assert row.event_metadata["route"] == "admin/accounts/user/"
