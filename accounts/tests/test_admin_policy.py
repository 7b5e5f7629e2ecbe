"""Every page of the admin, and whom it lets in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.test import Client
from django.urls import URLResolver, get_resolver

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership, User
from accounts.policy import Action, may
from accounts.tests.factories import make_user
from audit import services as audit
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.models import Device, HealthCheck
from devices.tests.factories import (
    make_credential,
    make_device,
    make_event,
    make_health_check,
    make_status_change,
)
from homepot.enums import ImportState
from homepot.models import DataImport
from jobs.models import Job, JobExecution
from jobs.tests.factories import order_job
from sites.models import Site

pytestmark = pytest.mark.django_db

VIEW, OPERATE, ADMINISTER = Action.VIEW, Action.OPERATE, Action.ADMINISTER
# Whoever has a role: pages that show nothing but the caller's own, or only what else is allowed.
STAFF = "staff"
# Things that are made, changed or removed elsewhere, by services.
NOBODY = "nobody"


def pages(
    change: Any, *, add: Any = NOBODY, view: Any = VIEW, history: Any = NOBODY
) -> dict[str, Any]:
    """What the pages of one model take; what cannot change has no history."""
    return {
        "": view,
        "add/": add,
        "{pk}/change/": change,
        "{pk}/history/": history,
        "{pk}/delete/": NOBODY,
    }


# Of lists that are spreadsheets too; a page of an import is its owner's.
SHEET = {
    "export-csv/": VIEW,
    "export-xlsx/": VIEW,
    "import/": OPERATE,
    "import/{import_pk}/": OPERATE,
}
MODELS: dict[str, dict[str, Any]] = {
    "accounts/user": {
        **pages(ADMINISTER, add=ADMINISTER, view=ADMINISTER, history=ADMINISTER),
        "{pk}/password/": ADMINISTER,
        "{pk}/create-api-key/": ADMINISTER,
        "{pk}/revoke-api-key/": ADMINISTER,
        "{pk}/sign-out-everywhere/": ADMINISTER,
        "{pk}/release/": ADMINISTER,
    },
    "axes/accessattempt": pages(ADMINISTER, view=ADMINISTER),
    "audit/auditlog": {**pages(VIEW), "export-csv/": VIEW, "export-ndjson/": VIEW},
    "sites/site": {
        **pages(VIEW, add=Action.CREATE_SITES, history=VIEW),
        **SHEET,
        "{pk}/make-enrolment-key/": OPERATE,
        "{pk}/revoke-enrolment-key/": OPERATE,
        "{pk}/retire/": OPERATE,
    },
    "devices/device": {
        **pages(VIEW, add=OPERATE, history=VIEW),
        **SHEET,
        "site-maintenance/": OPERATE,
        "end-site-maintenance/": OPERATE,
        "{pk}/maintenance/": OPERATE,
        "{pk}/end-maintenance/": OPERATE,
        "{pk}/suspend/": OPERATE,
        "{pk}/resume/": OPERATE,
        "{pk}/rotate-key/": OPERATE,
        "{pk}/revoke-keys/": OPERATE,
        "{pk}/transfer/": OPERATE,
        "{pk}/re-enrol/": OPERATE,
        "{pk}/retire/": OPERATE,
    },
    "devices/healthcheck": pages(VIEW),
    "devices/statuschange": pages(VIEW),
    "devices/deviceevent": pages(VIEW),
    "jobs/job": {
        **pages(VIEW, add=OPERATE, history=VIEW),
        "{pk}/cancel/": OPERATE,
        "{pk}/retry/": OPERATE,
        "{pk}/again/": OPERATE,
    },
    "jobs/jobexecution": pages(VIEW),
}
PAGES: dict[str, Any] = {
    "": STAFF,
    "overview/": STAFF,
    "search/": STAFF,
    "login/": Action.ANYONE,
    "logout/": STAFF,
    "password_change/": STAFF,
    "password_change/done/": STAFF,
    "autocomplete/": VIEW,
    "jsi18n/": STAFF,
    **{f"{model}/{page}": action for model, of in MODELS.items() for page, action in of.items()},
}
AUTOCOMPLETE = {"app_label": "devices", "model_name": "device", "field_name": "site"}


def admin_pages() -> Iterator[str]:
    """Every route below /admin/, as "devices/device/{pk}/change/"."""

    def walk(patterns: list[Any], prefix: str) -> Iterator[str]:
        for pattern in patterns:
            path = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, path)
            elif path.startswith("admin/"):
                yield path.removeprefix("admin/")

    for path in walk(get_resolver().url_patterns, ""):
        for spelled in ("<path:object_id>", "<id>"):
            path = path.replace(spelled, "{pk}")
        path = path.replace("<int:import_pk>", "{import_pk}")
        # These redirect, or list what else is allowed: the pages they lead to are in the table.
        if path.startswith(("r/", "^(?P<app_label>", "(?P<url>")) or path.endswith("/{pk}/"):
            continue
        yield path


def test_every_page_is_in_the_table():
    assert set(admin_pages()) == set(PAGES)


CALLERS = ("anonymous", "none", "viewer", "operator", "scoped operator", "admin", "device")


@pytest.fixture
def things() -> dict[str, Any]:
    """One of each thing that a page can be about, all at one site."""
    device = make_health_check(device=make_device()).device
    order_job(device)
    audit.record(event=AuditEvent.DEVICE_UPDATED, actor=None, target=device)
    return {
        "accounts/user": make_user().pk,
        "axes/accessattempt": AccessAttempt.objects.create(
            username="ann", failures_since_start=1
        ).pk,
        "audit/auditlog": AuditLog.objects.order_by("pk").first().pk,
        "sites/site": Site.objects.get().pk,
        "devices/device": Device.objects.get().pk,
        "devices/healthcheck": HealthCheck.objects.get().pk,
        "devices/statuschange": make_status_change(device).pk,
        "devices/deviceevent": make_event(device).pk,
        "jobs/job": Job.objects.get().pk,
        "jobs/jobexecution": JobExecution.objects.get().pk,
    }


def sign_in(caller: str) -> tuple[Client, User | None]:
    browser = Client()
    if caller == "anonymous":
        return browser, None
    if caller == "device":
        device = Device.objects.get()
        key = make_credential(device)
        headers = {"HTTP_X_DEVICE_ID": device.device_id, "HTTP_X_API_KEY": key}
        return Client(**headers), None
    user = make_user(role=Role(caller.split()[-1]))
    if caller.startswith("scoped"):
        user.site_access = SiteAccess.SELECTED
        user.save(update_fields=["site_access"])
        SiteMembership.objects.create(user=user, site=Site.objects.get())
    browser.force_login(user)
    return browser, user


def is_expected(user: User | None, action: Any) -> bool:
    if action == Action.ANYONE:
        return True
    if user is None or action == NOBODY or not user.is_staff:
        return False
    return action == STAFF or may(user, action)


def import_of(user: User | None, model: str) -> int:
    """A file that `user` uploaded, to be looked at."""
    return DataImport.objects.create(
        sheet=model.partition("/")[0],
        user=user or make_user(),
        filename="list.csv",
        state=ImportState.CHECKED,
    ).pk


@pytest.mark.parametrize("caller", CALLERS)
def test_every_page_lets_in_whom_the_policy_lets_in(things, caller):
    browser, user = sign_in(caller)
    surprises = []
    for page, action in PAGES.items():
        if page == "logout/":  # only a POST ends the session, and with it this test
            continue
        model = "/".join(page.split("/")[:2])
        query = AUTOCOMPLETE if page == "autocomplete/" else {"site": things["sites/site"]}
        import_pk = import_of(user, model) if "{import_pk}" in page else None
        path = page.format(pk=things.get(model), import_pk=import_pk)
        answer = browser.get(f"/admin/{path}", query)
        b"".join(answer)  # a file is there only once it was read
        is_sent_away = answer.status_code == 302 and "/admin/login/" in answer["Location"]
        is_let_in = not is_sent_away and answer.status_code not in (403, 404)
        if is_let_in != is_expected(user, action):
            surprises.append((page, answer.status_code, answer.headers.get("Location")))
    assert surprises == [], surprises
