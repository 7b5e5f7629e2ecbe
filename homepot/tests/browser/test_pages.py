"""Every page, in a browser, of a fleet that means harm by all that it says."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from axes.models import AccessAttempt
from django.test import RequestFactory
from playwright.sync_api import Page, Route, expect

from accounts.enums import Role
from accounts.tests.factories import make_user
from accounts.tests.test_admin_policy import NOBODY, PAGES
from audit.models import AuditLog
from devices.models import DeviceEvent, HealthCheck, StatusChange
from homepot import csp
from homepot.error_pages import handler500, refuse_write
from homepot.tests.browser import planted
from homepot.tests.browser.conftest import Open
from homepot.text import FORMULA
from jobs.models import Job
from sites.models import Site

pytestmark = pytest.mark.django_db(transaction=True)

# Parts of pages, what scripts read, and what only a POST does.
NO_PAGES = ("logout/", "autocomplete/", "jsi18n/", "overview/", "search/")
EXECUTED = "window.pwned = () => console.error('What was planted was executed.')"
FIND_HARM = Path(__file__).with_name("find_harm.js").read_text()


def harm_on(page: Page) -> list[str]:
    found: list[str] = page.evaluate(FIND_HARM, list(planted.PLANTED))
    return [f"{page.url} {harm}" for harm in found]


def newest_things(job: Job) -> dict[str, Any]:
    """Of each thing the one that says the most."""
    execution = job.executions.get()
    return {
        "accounts/user": job.created_by_id,
        "axes/accessattempt": AccessAttempt.objects.earliest("pk").pk,
        "audit/auditlog": AuditLog.objects.exclude(user_agent="").latest("pk").pk,
        "sites/site": Site.objects.get().pk,
        "devices/device": execution.device.pk,
        "devices/healthcheck": HealthCheck.objects.latest("pk").pk,
        "devices/statuschange": StatusChange.objects.latest("pk").pk,
        "devices/deviceevent": DeviceEvent.objects.latest("pk").pk,
        "jobs/job": job.pk,
        "jobs/jobexecution": execution.pk,
    }


def admin_paths(things: dict[str, Any], imports: dict[str, str]) -> Iterator[tuple[str, bool]]:
    """The path of every page of the admin, and whether it is there at all."""
    for page, access in PAGES.items():
        model = "/".join(page.split("/")[:2])
        if page in NO_PAGES or "/export-" in page:
            continue
        path = f"/admin/{page.format(pk=things.get(model), import_pk=imports.get(model))}"
        if "site-maintenance" in path:
            path += f"?site={things['sites/site']}"
        yield path, access != NOBODY


def test_pages_show_what_was_planted_as_text(open_page: Open, server: str) -> None:
    admin = make_user(role=Role.ADMIN, full_name=planted.NAME)
    things = newest_things(planted.plant(server, admin))
    imports = {model: planted.upload(admin, model) for model in ("sites/site", "devices/device")}
    page = open_page(admin)
    page.add_init_script(EXECUTED)
    surprises: list[Any] = []
    for path, is_there in admin_paths(things, imports):
        answer = page.goto(path)
        assert answer
        if (answer.status == 200) != is_there:
            surprises.append((path, answer.status))
        surprises += harm_on(page)
    for path, words in {
        f"devices/device/{things['devices/device']}": planted.LONG,
        f"devices/healthcheck/{things['devices/healthcheck']}": planted.LONG,
        f"devices/deviceevent/{things['devices/deviceevent']}": planted.LONG,
        f"jobs/jobexecution/{things['jobs/jobexecution']}": planted.SHORT,
        f"accounts/user/{things['accounts/user']}": planted.HEADER[:40],
        f"audit/auditlog/{things['audit/auditlog']}": planted.HEADER,
        f"axes/accessattempt/{things['axes/accessattempt']}": "<svg onload=pwned()>",
    }.items():
        page.goto(f"/admin/{path}/change/")
        if not page.get_by_text(words).count():
            surprises.append((path, "does not show what was planted"))
    # What is found while one types.
    page.goto("/admin/devices/device/add/")
    page.get_by_role("combobox", name="Site").click()
    page.get_by_role("searchbox", name="Site").or_(page.locator(".select2-search__field")).fill("@")
    expect(page.get_by_role("option").filter(has_text="pwned()")).to_be_visible()
    surprises += harm_on(page)
    # What only a button leads to.
    page.goto(f"/admin/devices/device/{things['devices/device']}/rotate-key/")
    page.get_by_role("button", name="Rotate key").click()
    expect(page.get_by_label("New key")).to_have_value(re.compile("hpd_"))
    page.get_by_role("button", name="Copy").click()
    expect(
        page.get_by_role("status").filter(has_text=re.compile("Copied|Selected"))
    ).to_be_visible()
    surprises += harm_on(page)
    assert surprises == []

    for path in ("sites/site/export-csv", "devices/device/export-csv", "audit/auditlog/export-csv"):
        text = page.request.get(f"/admin/{path}/").body().decode("utf-8-sig")
        cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
        assert any("pwned()" in cell for cell in cells), path
        assert [cell for cell in cells if FORMULA.match(cell) and not cell.startswith("'")] == []
    file = io.BytesIO(page.request.get("/admin/devices/device/export-xlsx/").body())
    cells = [cell for row in openpyxl.load_workbook(file).active.iter_rows() for cell in row]
    assert any("pwned()" in str(cell.value) for cell in cells)
    assert [cell.value for cell in cells if cell.data_type == "f"] == []


def test_pages_besides_the_admin_and_refusals_are_clean(open_page: Open, server: str) -> None:
    page = open_page(make_user(role=Role.VIEWER))
    for path, status, words in (
        ("/nowhere", 404, "There is nothing here"),
        ("/admin/nowhere/", 404, "There is nothing here"),
        ("/admin/accounts/user/", 403, "This is not for your account"),
    ):
        answer = page.goto(path)
        assert answer
        assert answer.status == status
        expect(page.get_by_role("heading", name=words)).to_be_visible()

    # What the server answers when it fails, or may write nothing.
    request = RequestFactory().get("/admin/trouble/")
    for made, words in (
        (handler500(request), "Something went wrong"),
        (refuse_write(request), "Nothing can be changed"),
    ):
        policy = {"Content-Security-Policy": csp.ADMIN, "Content-Type": "text/html"}
        answer_with = {"status": made.status_code, "body": made.content, "headers": policy}
        page.route("**/admin/trouble/", partial(Route.fulfill, **answer_with))
        page.goto("/admin/trouble/")
        expect(page.get_by_role("heading", name=words)).to_be_visible()
        page.unroute("**/admin/trouble/")

    page.goto("/api/v1/docs")
    expect(page.get_by_text("/api/v1/devices/devices/{device_id}").first).to_be_visible()
