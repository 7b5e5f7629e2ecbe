"""Whatever changes something writes one audit row, and both or neither are there afterwards.

Three tables list all that changes something: routes of the API, pages and actions of the
admin, and management commands. What exists but is missing there fails, so a new one needs a
line: what is sent, and the event that tells of it. None stands for what has a history of its
own, or changes nothing.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command, get_commands
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import lockout
from accounts.enums import Role
from accounts.keys import digest_of
from accounts.models import User
from accounts.tests.factories import make_api_key, make_user
from accounts.tests.test_policy import api_routes, methods_of
from audit import services
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.enums import LifecycleState
from devices.models import Device
from devices.tests.factories import make_credential, make_device
from homepot.combined import Combined
from jobs import services as jobs
from jobs.enums import ExecutionStatus
from jobs.models import Job
from jobs.tests.factories import execution_of, offer, order_job
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

PASSWORD = "Harbour-lights-42"
OTHER_PASSWORD = "Lantern-street-17"
ENROLMENT_KEY = "hpe_lighthouse"


@dataclass
class World:
    """What there is before something changes it."""

    admin: User
    user: User
    site: Site
    device: Device
    # Only where a test is about it: devices that leave end it.
    job: Job | None = None

    def ids(self) -> dict[str, Any]:
        return {
            "pk": self.user.pk,
            "site_id": self.site.site_id,
            "device_id": self.device.device_id,
            "device_site_id": self.device.site.site_id,
            "job_id": self.job and self.job.job_id,
            "command_id": self.job and str(execution_of(self.job).execution_id),
        }


@pytest.fixture
def world() -> World:
    user = make_user(username="bert", role=Role.OPERATOR)
    make_api_key(user)
    return World(
        admin=make_user(username="anna", role=Role.ADMIN, password=PASSWORD),
        user=user,
        site=make_site(name="Empty"),
        device=make_device(name="Till 1"),
    )


class Crash(Exception):
    """What the database might say after the change and its row, before the commit."""


@pytest.fixture
def crash_after_the_row(monkeypatch) -> Iterator[None]:
    def crashing(record: Callable[..., Any]) -> Callable[..., None]:
        def record_and_crash(*args: Any, **fields: Any) -> None:
            record(*args, **fields)
            raise Crash

        return record_and_crash

    with monkeypatch.context() as patch:
        for name in ("record", "record_many"):
            patch.setattr(services, name, crashing(getattr(services, name)))
        patch.setattr(Combined, "rows", crashing(Combined.rows))
        yield


def everything() -> dict[str, list[Any]]:
    """All rows of the project's own tables."""
    return {
        model._meta.label: list(model.objects.order_by("pk").values())
        for label in ("accounts", "audit", "sites", "devices", "jobs")
        for model in apps.get_app_config(label).get_models()
    }


def rows_after(pk: int) -> list[AuditLog]:
    return list(AuditLog.objects.filter(pk__gt=pk).order_by("pk"))


def newest_pk() -> int:
    return AuditLog.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def check_row(event: str | None, earlier: int, *, actor: str | None, new: dict[str, Any]) -> None:
    rows = rows_after(earlier)
    if event is None:
        assert rows == []
        return
    assert [row.event_type for row in rows] == [event]
    (row,) = rows
    assert actor in (None, row.actor_label)
    assert new.items() <= (row.new_values or {}).items()
    assert (row.old_values or {}).keys() == (row.new_values or {}).keys()
    assert all(row.old_values[name] != row.new_values[name] for name in row.new_values or {})


# Routes of the API


def with_key(world: World) -> APIClient:
    api = APIClient()
    api.credentials(HTTP_X_API_KEY=make_api_key(world.admin))
    return api


def nobody(world: World) -> APIClient:
    return APIClient()


def with_token(world: World) -> APIClient:
    api = APIClient()
    name_and_password = {"username": "anna", "password": PASSWORD}
    token = api.post("/api/v1/auth/login", name_and_password).json()["data"]["access_token"]
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return api


def with_device_key(world: World) -> APIClient:
    api = APIClient()
    # Used a moment ago, so that this use is not noted: that is no change of its own.
    key = make_credential(world.device, last_used_at=timezone.now())
    api.credentials(HTTP_X_DEVICE_ID=world.device.device_id, HTTP_X_API_KEY=key)
    return api


def to_the_suspended(world: World) -> APIClient:
    world.device.lifecycle_state = LifecycleState.SUSPENDED
    world.device.save()
    return with_key(world)


def to_one_with_a_key(world: World) -> APIClient:
    make_credential(world.device)
    return with_key(world)


def to_an_open_site(world: World) -> APIClient:
    at_an_open_site(world)
    return with_key(world)


def at_an_open_site(world: World) -> APIClient:
    world.site.enrolment_key = digest_of(ENROLMENT_KEY)
    world.site.enrolment_key_hint = ENROLMENT_KEY[:8]
    world.site.save()
    return APIClient()


def with_a_till_there(world: World) -> APIClient:
    make_device(site=world.site)
    return with_key(world)


def to_an_open_job(world: World) -> APIClient:
    world.job = order_job(world.device)
    return with_key(world)


def to_a_failed_job(world: World) -> APIClient:
    world.job = order_job(world.device)
    offer(world.device, timezone.now())
    jobs.report_outcome(
        device=world.device,
        command_id=execution_of(world.job).execution_id,
        report=jobs.CommandReport(status=ExecutionStatus.FAILED),
    )
    return with_key(world)


def by_a_busy_device(world: World) -> APIClient:
    world.job = jobs.begin_device_task(device=world.device, description="Count", payload={})
    return with_device_key(world)


@dataclass
class Sent:
    """A body, the event that tells of it, and some of the values after the change."""

    body: Any
    event: str | None
    new: dict[str, Any] = field(default_factory=dict)
    caller: Callable[[World], APIClient] = with_key
    # None: somebody who is only just coming to be.
    actor: str | None = "anna"


def by_device(
    body: Any, event: str | None, caller: Callable[[World], APIClient] = with_device_key
) -> Sent:
    return Sent(body, event, caller=caller, actor="{device_id}")


NEW_ACCOUNT = {"username": "carl", "email": "carl@example.com"}
OWN_DATA = {"email": "bert@example.com", "full_name": "Bert"}
ROUTES: dict[str, Sent] = {
    "POST auth/signup": Sent(
        NEW_ACCOUNT | {"password": PASSWORD}, "user_created", caller=nobody, actor="carl"
    ),
    "POST auth/login": Sent(
        {"username": "anna", "password": PASSWORD}, "user_signed_in", caller=nobody
    ),
    "POST auth/logout": Sent(None, "user_signed_out", caller=with_token),
    "POST auth/logout-all": Sent(None, "user_signed_out", caller=with_token),
    "PATCH auth/me": Sent({"full_name": "Anna"}, "user_updated", {"full_name": "Anna"}),
    "POST auth/me/password": Sent(
        {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}, "password_changed"
    ),
    "POST auth/me/api-key": Sent({"expires_at": None}, "api_key_created"),
    "DELETE auth/me/api-key": Sent(None, "api_key_revoked"),
    "POST auth/users": Sent(NEW_ACCOUNT, "user_created", {"username": "carl"}),
    "PUT auth/users/{pk}": Sent(OWN_DATA | {"username": "bert"}, "user_updated"),
    "PATCH auth/users/{pk}": Sent({"full_name": "Bert"}, "user_updated", {"full_name": "Bert"}),
    "DELETE auth/users/{pk}": Sent(None, "user_deleted"),
    "PUT auth/users/{pk}/role": Sent({"role": "viewer"}, "user_role_changed", {"role": "viewer"}),
    "POST sites/sites": Sent({"name": "New"}, "site_created", {"name": "New"}),
    "PUT sites/sites/{site_id}": Sent({"name": "New"}, "site_updated", {"name": "New"}),
    "PATCH sites/sites/{site_id}": Sent({"name": "New"}, "site_updated", {"name": "New"}),
    "DELETE sites/sites/{site_id}": Sent(None, "site_retired", {"is_active": False}),
    "POST devices/devices": Sent(
        {"name": "New", "site_id": "{site_id}"}, "device_created", {"name": "New"}
    ),
    "PUT devices/devices/{device_id}": Sent(
        {"name": "New", "site_id": "{device_site_id}"}, "device_updated", {"name": "New"}
    ),
    "PATCH devices/devices/{device_id}": Sent({"name": "New"}, "device_updated", {"name": "New"}),
    "DELETE devices/devices/{device_id}": Sent(None, "device_retired", {"is_active": False}),
    "POST devices/sites/{site_id}/devices": Sent({"name": "New"}, "device_created"),
    "POST devices/devices/{device_id}/health-checks": Sent({"is_healthy": True}, None),
    "POST devices/devices/{device_id}/suspend": Sent(
        None, "device_suspended", {"lifecycle_state": "suspended"}
    ),
    "POST devices/devices/{device_id}/resume": Sent(
        None, "device_resumed", {"lifecycle_state": "pending"}, caller=to_the_suspended
    ),
    "POST devices/devices/{device_id}/retire": Sent(None, "device_retired", {"is_active": False}),
    "POST devices/devices/{device_id}/re-enrol": Sent(
        None, "device_re_enrolled", {"lifecycle_state": "pending"}
    ),
    "POST devices/devices/{device_id}/transfer": Sent(
        {"site_id": "{site_id}"}, "device_transferred"
    ),
    "POST devices/devices/{device_id}/maintenance": Sent(
        {"until": "2199-01-01T00:00:00Z"}, "maintenance_started"
    ),
    "POST devices/devices/{device_id}/rotate-key": Sent(None, "device_key_created"),
    "POST devices/devices/{device_id}/revoke-keys": Sent(
        None, "device_keys_revoked", {"key_hints": []}, caller=to_one_with_a_key
    ),
    "POST devices/sites/{site_id}/enrolment-key": Sent(None, "enrolment_key_created"),
    "DELETE devices/sites/{site_id}/enrolment-key": Sent(
        None, "enrolment_key_revoked", caller=to_an_open_site
    ),
    "POST devices/bootstrap-provision": Sent(
        {"site_id": "{site_id}", "bootstrap_key": ENROLMENT_KEY, "device_name": "New"},
        "device_enrolled",
        {"name": "New"},
        caller=at_an_open_site,
        actor=None,
    ),
    "PATCH devices/device/{device_id}/permissions": by_device(
        {"permissions": {"root_access": True}}, "device_permissions_changed"
    ),
    "POST agent/device-dna": by_device({"firmware_version": "9"}, "device_updated"),
    "POST agent/check-in": by_device({}, None),
    "POST agent/check-ins": by_device({"check_ins": [{}]}, None),
    "POST agent/heartbeat": by_device({}, None),
    "POST agent/telemetry": by_device({"cpu_usage": 1}, None),
    "POST agent/logs": by_device({"message": "Started"}, None),
    "POST agent/audit": by_device({"message": "Unlocked"}, None),
    "POST agent/alert": by_device({"message": "No paper"}, None),
    "POST agent/config-history": by_device({"message": "Changed"}, None),
    "POST push/ack": by_device({}, None),
    "POST jobs/jobs": Sent(
        {"action": "ping", "device_ids": ["{device_id}"]}, "job_created", {"action": "ping"}
    ),
    "POST jobs/sites/{site_id}/jobs": Sent(
        {"action": "ping"}, "job_created", {"action": "ping"}, caller=with_a_till_there
    ),
    "POST jobs/jobs/{job_id}/cancel": Sent(None, "job_cancelled", caller=to_an_open_job),
    "POST jobs/jobs/{job_id}/retry": Sent(None, "job_retried", caller=to_a_failed_job),
    "POST devices/{device_id}/commands/{command_id}/ack": by_device({}, None, by_a_busy_device),
    "POST devices/{command_id}/status": by_device(
        {"status": "completed"}, "job_completed", by_a_busy_device
    ),
    "PUT devices/{command_id}/status": by_device(
        {"status": "failed"}, "job_failed", by_a_busy_device
    ),
    "POST agent/jobs": by_device({"action": "Defragment"}, "job_created"),
    "PUT agent/jobs/{job_id}": by_device(
        {"status": "completed"}, "job_completed", by_a_busy_device
    ),
}
WRITES = sorted(
    f"{method} {route}" for route, view in api_routes() for method in methods_of(view) - {"GET"}
)


def test_every_write_route_is_in_the_table():
    assert [write for write in WRITES if write not in ROUTES] == []


def filled_in(body: Any, ids: dict[str, Any]) -> Any:
    """`body` with ids in place of their names, as deep as they stand."""
    match body:
        case str():
            return body.format(**ids)
        case list():
            return [filled_in(item, ids) for item in body]
        case dict():
            return {name: filled_in(value, ids) for name, value in body.items()}
    return body


@pytest.fixture
def call(world: World) -> Callable[[str], Any]:
    """`call("POST sites/sites")` returns what sends it and gives the answer."""

    def prepare(write: str) -> Callable[[], Any]:
        sent = ROUTES[write]
        method, _, route = write.partition(" ")
        api = sent.caller(world)
        path = f"/api/v1/{route.format(**world.ids())}"
        body = filled_in(sent.body, world.ids())
        return lambda: getattr(api, method.lower())(path, body)

    return prepare


@pytest.mark.parametrize("write", [write for write in WRITES if write in ROUTES])
def test_write_route_is_audited_once(call, write, world):
    send, sent = call(write), ROUTES[write]
    actor = sent.actor and sent.actor.format(**world.ids())
    earlier = newest_pk()

    answer = send()

    assert answer.status_code in (200, 201, 204), answer.content
    check_row(sent.event, earlier, actor=actor, new=sent.new)
    for row in rows_after(earlier):
        assert row.request_id == answer["X-Request-ID"]
        assert row.ip_address == "127.0.0.1"


@pytest.mark.parametrize("write", [write for write in WRITES if write in ROUTES])
def test_write_route_that_fails_after_its_row_leaves_nothing(call, write, request):
    if ROUTES[write].event is None:
        pytest.skip("it writes no row")
    send = call(write)
    request.getfixturevalue("crash_after_the_row")
    before = everything()

    with pytest.raises(Crash):
        send()

    assert everything() == before


# Pages and actions of the admin


@dataclass
class Asked:
    """Fields of a form that are changed, the event that tells of it, and whom it is done to."""

    fields: dict[str, Any]
    event: str | None
    to: str = ""
    new: dict[str, Any] = field(default_factory=dict)
    before: Callable[[World], Any] | None = None


def in_maintenance(world: World) -> None:
    ends = timezone.now() + timedelta(hours=1)
    Device.objects.filter(pk=world.device.pk).update(maintenance_until=ends, status="maintenance")


def after_failed_sign_ins(world: World) -> None:
    lockout.count_failure(world.user.username, "192.0.2.7", "/admin/login/")


PAGES: dict[str, Asked] = {
    "add accounts.user": Asked(
        {
            "username": "carl",
            "email": "carl@example.com",
            "password": PASSWORD,
            "repeated_password": PASSWORD,
        },
        "user_created",
        new={"username": "carl"},
    ),
    "change accounts.user": Asked({"full_name": "Bert"}, "user_updated", "user"),
    "create_api_key accounts.user": Asked({"confirmed": "1"}, "api_key_created", "user"),
    "revoke_api_key accounts.user": Asked({"confirmed": "1"}, "api_key_revoked", "user"),
    "sign_out_everywhere accounts.user": Asked({"confirmed": "1"}, "user_signed_out", "user"),
    "release accounts.user": Asked(
        {"confirmed": "1"}, "account_unlocked", "user", before=after_failed_sign_ins
    ),
    "add sites.site": Asked({"name": "New", "timezone": "UTC"}, "site_created"),
    "change sites.site": Asked({"name": "New"}, "site_updated", "site", {"name": "New"}),
    "make_enrolment_key sites.site": Asked({"confirmed": "1"}, "enrolment_key_created", "site"),
    "revoke_enrolment_key sites.site": Asked(
        {"confirmed": "1"}, "enrolment_key_revoked", "site", before=at_an_open_site
    ),
    "retire sites.site": Asked({"confirmed": "1"}, "site_retired", "site"),
    "retire_selected sites.site": Asked({"confirmed": "1"}, "site_retired", "site"),
    "add devices.device": Asked(
        {"name": "New", "site": "{site_pk}", "device_type": "kiosk"}, "device_created"
    ),
    "change devices.device": Asked({"name": "New"}, "device_updated", "device", {"name": "New"}),
    "maintenance devices.device": Asked(
        {"confirmed": "1", "duration": "60"}, "maintenance_started", "device"
    ),
    "end_maintenance devices.device": Asked(
        {"confirmed": "1"},
        "maintenance_ended",
        "device",
        {"maintenance_until": None},
        before=in_maintenance,
    ),
    "suspend devices.device": Asked({"confirmed": "1"}, "device_suspended", "device"),
    "resume devices.device": Asked(
        {"confirmed": "1"}, "device_resumed", "device", before=to_the_suspended
    ),
    "rotate_key devices.device": Asked({"confirmed": "1"}, "device_key_created", "device"),
    "revoke_keys devices.device": Asked(
        {"confirmed": "1"},
        "device_keys_revoked",
        "device",
        {"key_hints": []},
        before=to_one_with_a_key,
    ),
    "transfer devices.device": Asked(
        {"confirmed": "1", "site": "{site_pk}"}, "device_transferred", "device"
    ),
    "re_enrol devices.device": Asked({"confirmed": "1"}, "device_re_enrolled", "device"),
    "retire devices.device": Asked({"confirmed": "1"}, "device_retired", "device"),
    "maintain_selected devices.device": Asked(
        {"confirmed": "1", "duration": "60"}, "maintenance_started", "device"
    ),
    "end_maintenance_selected devices.device": Asked(
        {"confirmed": "1"},
        "maintenance_ended",
        "device",
        {"maintenance_until": None},
        before=in_maintenance,
    ),
    "suspend_selected devices.device": Asked({"confirmed": "1"}, "device_suspended", "device"),
    "resume_selected devices.device": Asked(
        {"confirmed": "1"}, "device_resumed", "device", before=to_the_suspended
    ),
    "rotate_key_selected devices.device": Asked({"confirmed": "1"}, "device_key_created", "device"),
    "retire_selected devices.device": Asked({"confirmed": "1"}, "device_retired", "device"),
    **{
        f"export_{format} {model}": Asked({}, "data_exported")
        for format in ("csv", "xlsx")
        for model in ("sites.site", "devices.device")
    },
    **{
        f"export_{format}_selected {thing}s.{thing}": Asked({}, "data_exported", thing)
        for format in ("csv", "xlsx")
        for thing in ("site", "device")
    },
    "export_csv audit.auditlog": Asked({}, "data_exported"),
    "export_ndjson audit.auditlog": Asked({}, "data_exported"),
}
# Their tests need what other apps make of wrong passwords.
TESTED_ELSEWHERE = {"release_selected axes.accessattempt"}
# Their pages are not the admin's usual ones: see jobs/tests/test_admin.py.
TESTED_ELSEWHERE |= {
    f"{name} jobs.job" for name in ("add", "cancel", "cancel_selected", "retry", "again")
}
TESTED_ELSEWHERE |= {"order_for_selected devices.device"}
# They change many things: see below.
TESTED_ELSEWHERE |= {"import_file sites.site", "import_file devices.device"}


def admin_request() -> HttpRequest:
    request = RequestFactory().get("/admin/")
    request.user = User(role=Role.ADMIN, is_admin=True, pk=1)
    return request


def pages_that_change() -> Iterator[str]:
    """What an admin finds to change things with, as "retire sites.site"."""
    request = admin_request()
    admin.autodiscover()
    for model, model_admin in admin.site._registry.items():
        label = model._meta.label_lower
        if model_admin.has_add_permission(request):
            yield f"add {label}"
        if model_admin.has_change_permission(request):
            yield f"change {label}"
        if model_admin.has_delete_permission(request):
            yield f"delete {label}"
        actions: Any = model_admin
        for name in (
            *model_admin.get_actions(request),
            *actions._extract_action_names(actions.actions_detail),
            *actions._extract_action_names(actions.actions_list),
            *actions._extract_action_names(actions.actions_row),
            *actions._extract_action_names(actions.actions_submit_line),
        ):
            yield f"{name} {label}"


def test_every_page_that_changes_something_is_in_the_table():
    found = set(pages_that_change())
    assert found - TESTED_ELSEWHERE - set(PAGES) == set()


def form_data(page: Any) -> dict[str, Any]:
    """What a browser sends of a form that nobody touched."""
    data = {}
    forms = [page.context["adminform"].form]
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for bound in form:
            value = bound.value()
            if value not in (None, False):
                data[bound.html_name] = value
    return data


@pytest.fixture
def ask(world: World, client: Client) -> Callable[[str], Any]:
    """`ask("add sites.site")` returns what sends that form and gives the answer."""
    client.force_login(world.admin)

    def prepare(page: str) -> Callable[[], Any]:
        name, _, label = page.partition(" ")
        asked = PAGES[page]
        fields = {key: value.format(site_pk=world.site.pk) for key, value in asked.fields.items()}
        if asked.before is not None:
            asked.before(world)
        base = f"/admin/{label.replace('.', '/')}/"
        pk = getattr(world, asked.to).pk if asked.to else None
        if name == "add":
            data = form_data(client.get(f"{base}add/")) | fields
            return lambda: client.post(f"{base}add/", data)
        if name == "change":
            data = form_data(client.get(f"{base}{pk}/change/")) | fields
            return lambda: client.post(f"{base}{pk}/change/", data)
        if name.endswith("_selected"):
            data = {"action": name, "_selected_action": [pk], **fields}
            return lambda: client.post(base, data)
        path = f"{base}{pk}/" if pk else base
        return lambda: client.post(f"{path}{name.replace('_', '-')}/", fields)

    return prepare


@pytest.mark.parametrize("page", PAGES)
def test_page_is_audited_once(ask, page):
    send, asked = ask(page), PAGES[page]
    earlier = newest_pk()

    answer = send()

    assert answer.status_code in (200, 302), answer.content
    b"".join(answer)  # a file is there only once it was read
    check_row(asked.event, earlier, actor="anna", new=asked.new)
    for row in rows_after(earlier):
        assert row.request_id == answer["X-Request-ID"]


@pytest.mark.parametrize("page", PAGES)
def test_page_that_fails_after_its_row_leaves_nothing(ask, page, request):
    if page.startswith("export"):
        pytest.skip("its row tells of no change, and stays when the answer fails")
    send = ask(page)
    request.getfixturevalue("crash_after_the_row")
    before = everything()

    with pytest.raises(Crash):
        send()

    assert everything() == before


# Imports, which write a row for each thing and one for themselves

IMPORTS = {
    "site": ("site_id,name\n{site_id},New\nharbour,Harbour\n", "site_updated", "site_created"),
    "device": (
        "device_id,site_id,name\n{device_id},,New\n,{site_id},Till 2\n",
        "device_updated",
        "device_created",
    ),
}


@pytest.fixture
def upload(world: World, client: Client) -> Callable[[str], Any]:
    """`upload("site")` uploads a file and returns what confirms it."""
    client.force_login(world.admin)

    def prepare(thing: str) -> Callable[[], Any]:
        content = IMPORTS[thing][0].format(**world.ids()).encode()
        file = SimpleUploadedFile("list.csv", content)
        page = client.post(f"/admin/{thing}s/{thing}/import/", {"file": file})
        return lambda: client.post(page["Location"])

    return prepare


@pytest.mark.parametrize("thing", IMPORTS)
def test_import_is_audited_once_for_each_thing(upload, world, thing):
    earlier = newest_pk()
    confirm = upload(thing)
    assert rows_after(earlier) == []

    answer = confirm()

    rows = rows_after(earlier)
    _, updated, created = IMPORTS[thing]
    assert sorted(row.event_type for row in rows) == sorted([created, updated, "data_imported"])
    told = {(row.actor_label, row.request_id, row.ip_address) for row in rows}
    assert told == {("anna", answer["X-Request-ID"], "127.0.0.1")}
    for row in rows:
        assert (row.old_values or {}).keys() == (row.new_values or {}).keys()


@pytest.mark.parametrize("thing", IMPORTS)
def test_import_that_fails_after_its_rows_leaves_nothing(upload, thing, request):
    confirm = upload(thing)
    request.getfixturevalue("crash_after_the_row")
    before = everything()

    with pytest.raises(Crash):
        confirm()

    assert everything() == before


# Management commands


@dataclass
class Run:
    """Arguments, and the event that tells of it."""

    arguments: tuple[str, ...] = ()
    event: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


COMMANDS: dict[str, Run | None] = {
    "changepassword": Run(("bert",), "password_changed"),
    "create_api_key": Run(("bert",), "api_key_created"),
    "createsuperuser": Run(
        (),
        "user_created",
        {"interactive": False, "username": "carl", "email": "carl@example.com"},
    ),
    "prune_audit": Run(("--before", "2026-01-31"), "audit_pruned"),
    # Opens an account and gives it a key, when there is no admin: two changes, told of twice.
    "first_run": None,
    "migrate": None,
    # A copy changes nothing, and what comes back has its own rows of the audit log.
    "backup": None,
    "restore": None,
    "restore_drill": None,
    "copy_database": None,
    # Told of once as a whole; needs a database of the original.
    "import_original": None,
    # Only looks.
    "doctor": None,
    # What its sweeps change has a history of its own.
    "run_worker": None,
    "serve": None,
    # Registers many devices, or gives them keys: each is told of.
    "simulate_fleet": None,
}
# Commands of this project, and the one of Django's that goes through our manager.
OWN_APPS = {"homepot", "accounts", "audit", "sites", "devices", "jobs"}
FOUND = sorted(
    name for name, app in get_commands().items() if app in OWN_APPS or name == "createsuperuser"
)
RUNS = [name for name in FOUND if COMMANDS.get(name)]


def test_every_command_is_in_the_table():
    assert [name for name in FOUND if name not in COMMANDS] == []


@pytest.fixture
def run(world: World, monkeypatch) -> Callable[[str], None]:
    monkeypatch.setattr(getpass, "getpass", lambda prompt: OTHER_PASSWORD)
    AuditLog.objects.create(event_type=AuditEvent.SITE_CREATED, created_at="2026-01-30T00:00:00Z")

    def call_it(name: str) -> None:
        entry = COMMANDS[name]
        assert entry is not None
        call_command(name, *entry.arguments, **entry.options)

    return call_it


@pytest.mark.parametrize("name", RUNS)
def test_command_is_audited_once(run, name):
    entry = COMMANDS[name]
    earlier = newest_pk()

    run(name)

    assert entry is not None
    check_row(entry.event, earlier, actor="system", new={})


@pytest.mark.parametrize("name", RUNS)
def test_command_that_fails_after_its_row_leaves_nothing(run, name, request):
    request.getfixturevalue("crash_after_the_row")
    before = everything()

    with pytest.raises(Crash):
        run(name)

    assert everything() == before
