from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership
from accounts.tests.factories import make_user
from audit.models import AuditLog
from devices.models import Device
from devices.tests.factories import make_device
from homepot import uploads
from homepot.models import DataImport
from homepot.spreadsheets import admin, imports, preview, writing
from homepot.testing.imports import apply, read_text
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

IMPORT = "/admin/sites/site/import/"


@pytest.fixture
def browser(staff: Callable[[Role], Client]) -> Client:
    return staff(Role.OPERATOR)


def send(browser: Client, text: str, path: str = IMPORT, name: str = "list.csv") -> Any:
    return browser.post(path, {"file": SimpleUploadedFile(name, text.encode())})


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_file_is_looked_at_then_imported(browser):
    make_site(site_id="s-1", name="<b>Main</b>")

    looked = send(browser, "site_id,name\ns-1,Main\nnew,New\nbad id,Bad\n")
    page = browser.get(looked["Location"]).content.decode()

    assert "It would create 1 and change 1 sites." in page
    assert "<strong>1 line is left out</strong>" in page
    assert "Import 2 lines" in page
    assert "<del>&lt;b&gt;Main&lt;/b&gt;</del>" in page
    assert "site_id: Use letters, digits" in page
    assert not Site.objects.filter(site_id="new").exists()

    done = browser.post(looked["Location"], follow=True)

    assert done.redirect_chain == [(looked["Location"], 302)]
    assert "1 created, 1 changed, 0 as they were, 1 left out." in done.content.decode()
    assert Site.objects.get(site_id="s-1").name == "Main"
    assert Site.objects.get(site_id="new").name == "New"
    again = browser.post(looked["Location"], follow=True).content.decode()
    assert "This import was confirmed before" in again


def test_list_of_lines_is_filtered_and_paged(browser, monkeypatch):
    monkeypatch.setattr(preview, "LINES_SHOWN", 2)
    page = send(browser, "site_id,name\na,A\nb,\nc,C\nd,D\n")["Location"]

    def shown(query: str) -> tuple[list[int], str | None]:
        context = browser.get(page + query).context
        return [row["number"] for row in context["rows"]], context["next_url"]

    assert shown("") == ([2, 3], "?show=all&after=3")
    assert shown("?show=all&after=3") == ([4, 5], None)
    assert shown("?show=create&after=2") == ([4, 5], None)
    assert shown("?show=refused") == ([3], None)
    assert shown(f"?show=x&after={'9' * 30}")[0] == [2, 3]


@pytest.mark.parametrize("lines", [3, 30])
def test_statements_of_the_pages_do_not_grow(browser, count_statements, lines):
    text = "site_id,name\n" + "".join(f"s-{i},Site {i}\n" for i in range(lines))
    page = send(browser, text)["Location"]
    # 1. the session, 2. its account, 3. the import, 4. the lines, 5. whether a worker runs
    with count_statements(5):
        browser.get(page)


def test_what_is_large_goes_on_by_itself_and_says_how_far_it_is(browser, monkeypatch):
    monkeypatch.setattr(imports, "APPLIED_AT_ONCE", 2)
    # No time for more than one step.
    monkeypatch.setattr(admin, "run_steps", lambda steps: next(steps, 0))
    page = send(browser, "name\nA\nB\nC\nD\nE\n")["Location"]

    running = browser.post(page, follow=True).content.decode()

    assert '<progress class="homepot-import-progress" max="5" value="2"' in running
    assert "No worker is running." in running
    assert "Go on" in running
    part = browser.get(f"{page}?progress").content.decode()
    assert part.startswith("\n<section") or part.lstrip().startswith("<section")
    assert 'data-homepot-live="?progress"' in part
    assert browser.post(page).status_code == 302
    browser.post(page)
    browser.post(page)
    ended = browser.get(f"{page}?progress").content.decode()
    assert "data-homepot-live" not in ended
    assert 'data-homepot-state="applied"' in ended
    assert Site.objects.count() == 5


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (None, "Choose a file."),
        (SimpleUploadedFile("list.csv", b""), "The file is empty."),
        (SimpleUploadedFile("list.csv", b"nmae\nx\n"), "a column &#x27;nmae&#x27;"),
        (SimpleUploadedFile("list.csv", b"name\n\xff\n"), "Line 2 holds bytes that are not UTF-8"),
    ],
)
def test_file_that_cannot_be_taken_is_refused_on_the_form(browser, file, told):
    answer = browser.post(IMPORT, {} if file is None else {"file": file})
    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert not DataImport.objects.exists()


def test_file_that_is_too_large_is_not_kept(browser, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 1000)
    monkeypatch.setattr(uploads, "FORM_BYTES", 500)
    answer = send(browser, "name\n" + "x" * 2000)
    assert "The file is larger than 20 MiB" in answer.content.decode()
    assert not answer.wsgi_request.FILES


def test_import_is_its_owners_alone(browser, staff):
    page = send(browser, "name\nNew\n")["Location"]
    others = Client()
    others.force_login(make_user(role=Role.ADMIN))
    assert others.get(page).status_code == 404
    assert others.post(page).status_code == 404
    assert browser.get(page.replace("sites/site", "devices/device")).status_code == 404
    staff(Role.VIEWER)
    assert browser.post(page).status_code == 403
    assert not Site.objects.exists()


def test_export_holds_what_the_list_shows(staff):
    site = make_site(site_id="s-1", name="Main", description="-1", latitude=-1.5)
    make_site(name="Retired", is_active=False)
    make_device(site=site, device_id="d-1", name="=Till", config={"a": [1]})
    make_device()
    browser = staff(Role.VIEWER)

    (row,) = rows_of(browser.get("/admin/sites/site/export-csv/?q=Main"))
    assert row | {"created_at": ""} == {
        "site_id": "s-1",
        "name": "Main",
        "description": "'-1",
        "location": "",
        "timezone": "UTC",
        "latitude": "-1.5",
        "longitude": "",
        "is_active": "true",
        "created_at": "",
    }
    (row,) = rows_of(browser.get(f"/admin/devices/device/export-csv/?site__id__exact={site.pk}"))
    assert (row["device_id"], row["site_id"], row["name"]) == ("d-1", "s-1", "'=Till")
    assert (row["config"], row["status"], row["lifecycle_state"]) == (
        '{"a": [1]}',
        "unknown",
        "active",
    )
    told = AuditLog.objects.filter(event_type="data_exported").order_by("pk")
    assert [row.description for row in told] == ["Sites as CSV", "Devices as CSV"]
    assert told[0].event_metadata == {"sheet": "sites", "format": "csv", "filters": {"q": "Main"}}


def test_chosen_rows_are_exported(staff):
    chosen = make_device()
    make_device()
    choice = {"action": "export_csv_selected", "_selected_action": [chosen.pk]}
    (row,) = rows_of(staff(Role.VIEWER).post("/admin/devices/device/", choice))
    assert row["device_id"] == chosen.device_id
    told = AuditLog.objects.get(event_type="data_exported")
    assert told.event_metadata["filters"] == {"chosen": 1}


def test_scope_decides_what_is_exported(client):
    user = make_user(site_access=SiteAccess.SELECTED)
    mine = make_device()
    make_device()
    SiteMembership.objects.create(user=user, site=mine.site)
    client.force_login(user)
    (row,) = rows_of(client.get("/admin/devices/device/export-csv/"))
    assert row["device_id"] == mine.device_id


def test_what_does_not_fit_xlsx_is_told_on_the_list(browser, monkeypatch):
    monkeypatch.setattr(writing, "MAX_CELL", 10)
    make_site(description="longer than that")
    answer = browser.get("/admin/sites/site/export-xlsx/?q=Store", follow=True)
    assert answer.redirect_chain == [("/admin/sites/site/?q=Store", 302)]
    assert "which no cell of XLSX holds; take CSV." in answer.content.decode()
    assert not AuditLog.objects.filter(event_type="data_exported").exists()


def test_each_page_of_an_export_is_one_statement(browser, monkeypatch, count_statements):
    monkeypatch.setattr(writing, "PAGE_ROWS", 2)
    for _ in range(5):
        make_device()
    # 1. the session, 2. its account, 3. the list, 4. the audit row, 5.-7. the pages
    with count_statements(7):
        assert len(rows_of(browser.get("/admin/devices/device/export-csv/"))) == 5


def test_lists_offer_what_the_reader_may(staff):
    make_device()
    for role, offered in ((Role.VIEWER, False), (Role.OPERATOR, True)):
        for path in ("/admin/devices/device/", "/admin/sites/site/"):
            page = staff(role).get(f"{path}?q=a").content.decode()
            assert f"{path}export-csv/?q=a" in page
            assert (f"{path}import/" in page) is offered


def test_users_imports_go_with_the_account():
    user = make_user(role=Role.OPERATOR)
    apply(read_text("sites", "name\nNew\n", user))
    user.delete()
    assert not DataImport.objects.exists()
    assert Device.objects.count() == 0
