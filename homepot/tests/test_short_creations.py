"""What programs create is answered and told of as by the long way, and never done twice."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.urls import resolve

from accounts.enums import Role, SiteAccess
from accounts.models import User
from accounts.tests.factories import make_user
from audit.models import AuditLog
from devices.models import Device
from devices.tests.factories import make_device
from homepot.metrics.counters import REQUESTS
from homepot.routes import api_routes
from homepot.tests.test_short_reads import Answer, Server, by_key, by_token
from jobs.models import Job
from sites.models import Site

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites/sites"
PING = b'{"action": "ping"}'
WHOLE = b'{"action": "ping", "segment": "all"}'
# {number} is another one each time.
CREATIONS: dict[str, dict[str, Any]] = {
    "sites/sites": {"name": "Käse {number}", "latitude": 52.5},
    "devices/devices": {"name": "Till {number}", "site_id": "{site}"},
    "devices/sites/{site}/devices": {"name": "Till {number}", "config": {"b": 1, "aa": [None]}},
    "jobs/jobs": {"action": "ping", "device_ids": ["{device}"]},
    "jobs/sites/{site}/jobs": {"action": "ping", "payload": {"b": 1e-7, "aa": [None]}},
    "auth/users": {"username": "user{number}", "email": "user{number}@example.com"},
}
# What differs between two that were created by the same body.
OWN = {"site_id", "device_id", "job_id", "id", "name", "username", "email", "api_key"}
OWN |= {"created_at", "updated_at", "released_at", "status_since"}
AUDITED = ("event_type", "actor_label", "user_id", "target_type", "request_id", "ip_address")
AUDITED += ("user_agent", "outcome", "severity")


def post(server: Server, path: str, body: bytes, **more: Any) -> Answer:
    return server.get(
        path,
        **{
            "REQUEST_METHOD": "POST",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_USER_AGENT": "till/1",
            "wsgi.input": io.BytesIO(body),
            **more,
        },
    )


def filled(value: Any, **ids: str) -> Any:
    match value:
        case str():
            return value.format(**ids)
        case list():
            return [filled(item, **ids) for item in value]
        case dict():
            return {name: filled(item, **ids) for name, item in value.items()}
    return value


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def device() -> Device:
    return make_device()


@pytest.fixture
def key() -> dict[str, str]:
    return by_key(make_user(role=Role.ADMIN))


@pytest.fixture
def knowing(server, key) -> Server:
    """A server that has answered the creation of a site."""
    assert post(server, SITES, b'{"name": "First"}', **key).status == "201 Created"
    server.went_long.clear()
    return server


@pytest.mark.parametrize("who", [by_key, by_token])
@pytest.mark.parametrize("path", CREATIONS)
def test_creations_are_answered_and_told_of_alike(server, device, path, who):
    headers = who(make_user(role=Role.ADMIN))
    ids = {"site": device.site.site_id, "device": device.device_id}
    answers, rows = [], []
    for number in range(2):
        body = json.dumps(filled(CREATIONS[path], **ids, number=str(number))).encode()
        answers.append(post(server, f"/api/v1/{path.format(**ids)}", body, **headers))
        rows.append(AuditLog.objects.order_by("pk").last())
    assert len(server.went_long) == 1
    long, short = answers
    assert long.status == short.status == "201 Created"
    assert [name for name, _ in long.headers] == [name for name, _ in short.headers]
    for (name, value), (_, other) in zip(long.headers, short.headers, strict=True):
        expected = str(len(short.body)) if name == "Content-Length" else value
        assert other == expected
    shown = [json.loads(answer.body) for answer in answers]
    assert list(shown[0]) == list(shown[1])
    for own in OWN & set(shown[0]):
        del shown[0][own], shown[1][own]
    assert shown[0] == shown[1]
    assert rows[0].pk < rows[1].pk
    assert [getattr(rows[0], name) for name in AUDITED] == [
        getattr(rows[1], name) for name in AUDITED
    ]
    assert rows[1].request_id == "the-same-request"


def test_every_view_that_creates_is_among_them():
    ids = {"site": "a", "device": "a"}
    tried = {resolve(f"/api/v1/{path.format(**ids)}").func for path in CREATIONS}
    for pattern in api_routes().patterns():
        callback: Any = pattern.callback
        action = getattr(callback, "actions", {}).get("post")
        if action and hasattr(getattr(callback.cls, action), "creates"):
            assert callback in tried, pattern
            tried.remove(callback)
    assert not tried


def test_site_takes_few_statements(knowing, key, count_statements):
    # The site and its audit row, if the caller is who was presumed: SQLite is asked one by one
    with count_statements(1 if connection.vendor == "postgresql" else 3):
        post(knowing, SITES, b'{"name": "Second"}', **key)
    assert not knowing.went_long
    assert AuditLog.objects.order_by("pk").last().user == User.objects.get()


@pytest.fixture
def jobs_path(server, device, key) -> str:
    """Where `server` has answered the creation of a job, which it presumes to be by the same."""
    path = f"/api/v1/jobs/sites/{device.site.site_id}/jobs"
    assert post(server, path, PING, **key).status == "201 Created"
    server.went_long.clear()
    return path


def test_usual_job_takes_one_statement(server, jobs_path, key, count_statements):
    # All that is written, at a site that is found with it, if the caller is who was presumed;
    # SQLite finds the site first, counts the devices, takes job, executions and audit row one by
    # one, and reads the answer
    with count_statements(1 if connection.vendor == "postgresql" else 6):
        assert post(server, jobs_path, PING, **key).status == "201 Created"
    assert not server.went_long
    assert {job.created_by for job in Job.objects.all()} == {User.objects.get()}


def test_other_job_takes_two_statements(server, jobs_path, key, count_statements):
    with count_statements(2 if connection.vendor == "postgresql" else 6):
        assert post(server, jobs_path, WHOLE, **key).status == "201 Created"
    assert not server.went_long


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda site: Device.objects.update(lifecycle_state="suspended"), "409"),
        (lambda site: Site.objects.filter(pk=site.pk).update(is_active=False), "404"),
        (lambda site: Site.objects.filter(pk=site.pk).update(site_id="other"), "404"),
    ],
)
def test_job_that_its_site_refuses_is_refused_alike(server, jobs_path, device, key, change, status):
    change(device.site)
    answers = [post(each, jobs_path, PING, **key) for each in (server, Server())]
    assert answers[0] == answers[1]
    assert answers[0].status[:3] == status
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"api_key": None}, "401"),
        ({"is_active": False}, "401"),
        ({"role": Role.VIEWER, "is_admin": False}, "403"),
        ({"must_change_password": True}, "403"),
        ({"role": Role.OPERATOR, "is_admin": False, "site_access": SiteAccess.SELECTED}, "404"),
    ],
)
def test_nothing_is_created_for_whoever_is_not_who_was_presumed(
    server, jobs_path, key, change, status
):
    assert post(server, SITES, b'{"name": "First"}', **key).status == "201 Created"
    before = (Job.objects.count(), Site.objects.count())
    server.went_long.clear()
    User.objects.update(**change)
    answers = [post(server, jobs_path, PING, **key), post(server, SITES, b'{"name": "x"}', **key)]
    # Whose sites are selected sees none of them, and may open none.
    assert [answer.status[:3] for answer in answers] == [status, status.replace("404", "403")]
    assert len(server.went_long) == 2
    assert (Job.objects.count(), Site.objects.count()) == before


def test_whose_sites_are_selected_orders_jobs_there_only(server, device):
    user = make_user(role=Role.OPERATOR, site_access=SiteAccess.SELECTED)
    user.site_memberships.create(site=device.site)
    headers, other = by_key(user), make_device()
    for _ in range(2):
        path = f"/api/v1/jobs/sites/{device.site.site_id}/jobs"
        assert post(server, path, PING, **headers).status == "201 Created"
    assert len(server.went_long) == 1
    path = f"/api/v1/jobs/sites/{other.site.site_id}/jobs"
    assert post(server, path, PING, **headers).status[:3] == "404"
    assert Job.objects.count() == 2


def test_creation_is_told_of_under_the_name_that_counts(server, jobs_path, key):
    User.objects.update(username="new.name")
    answer = post(server, jobs_path, PING, **key)
    assert json.loads(answer.body)["created_by"] == "new.name"
    assert AuditLog.objects.order_by("pk").last().actor_label == "new.name"


def test_site_is_told_of_under_the_name_that_counts(knowing, key):
    User.objects.update(username="new.name")
    assert post(knowing, SITES, b'{"name": "Second"}', **key).status == "201 Created"
    assert AuditLog.objects.order_by("pk").last().actor_label == "new.name"
    assert Site.objects.count() == 2


def test_nothing_is_created_without_a_question_who_calls(server, jobs_path, key, monkeypatch):
    monkeypatch.setattr("jobs.views.SiteJobViewSet.site", lambda view: Site.objects.get())
    assert post(server, jobs_path, WHOLE, **key).status[:3] == "500"
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (b"{", {}, "400"),
        (b"[]", {}, "400"),
        (b'{"name": ""}', {}, "400"),
        (b'{"name": "\\u0000"}', {}, "400"),
        (b'{"name": "x", "site_id": "taken"}', {}, "409"),
        (b"name=x", {"CONTENT_TYPE": "application/x-www-form-urlencoded"}, "415"),
        (b'{"name": "x"}', {"CONTENT_TYPE": "application/json; charset=latin-1"}, "415"),
        (b'{"name": "x"}', {"CONTENT_LENGTH": "5"}, "400"),
        (b'{"name": "x"}', {"CONTENT_LENGTH": "2000000"}, "413"),
        (b'{"name": "x"}', {"HTTP_TRANSFER_ENCODING": "chunked"}, "411"),
        (b'{"name": "x"}', {"QUERY_STRING": "limit=1"}, "400"),
        (b'{"name": "x"}', {"HTTP_ACCEPT": "text/html"}, "406"),
        (b'{"name": "x"}', {"HTTP_X_API_KEY": "hpk_x"}, "401"),
        (b'{"name": "x"}', {"HTTP_AUTHORIZATION": "Bearer x"}, "401"),
        (b'{"name": "x"}', {"HTTP_HOST": "elsewhere.example.com"}, "400"),
        (b'{"name": "x"}', {"REQUEST_METHOD": "DELETE"}, "405"),
    ],
)
def test_what_is_refused_is_refused_as_by_the_long_way(knowing, key, body, more, status):
    Site.objects.update(site_id="taken")
    before = (Site.objects.count(), AuditLog.objects.count())
    answers = [post(each, SITES, body, **{**key, **more}) for each in (knowing, Server())]
    assert answers[0] == answers[1]
    assert answers[0].status[:3] == status
    assert len(knowing.went_long) == 1
    assert (Site.objects.count(), AuditLog.objects.count()) == before


def test_whoever_may_not_any_more_is_refused_at_once(knowing, key):
    User.objects.update(role=Role.VIEWER, is_admin=False)
    assert post(knowing, SITES, b'{"name": "x"}', **key).status == "403 Forbidden"
    assert AuditLog.objects.filter(event_type="permission_refused").count() == 1
    User.objects.update(is_active=False)
    assert post(knowing, SITES, b'{"name": "x"}', **key).status == "401 Unauthorized"
    assert Site.objects.count() == 1


def test_job_with_an_idempotency_key_is_made_once(server, device, key):
    path = f"/api/v1/jobs/sites/{device.site.site_id}/jobs"
    body = b'{"action": "ping"}'
    assert post(server, path, body, **key).status == "201 Created"
    once = [post(server, path, body, HTTP_IDEMPOTENCY_KEY="k", **key) for _ in range(2)]
    assert json.loads(once[0].body) == json.loads(once[1].body)
    assert device.executions.count() == 2


def test_what_was_written_is_not_written_again_when_its_answer_fails(knowing, key, monkeypatch):
    def fail(content: Any) -> bytes:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("homepot.short_creations.to_json", fail)
        assert post(knowing, SITES, b'{"name": "Second"}', **key).status[:3] == "500"
    assert Site.objects.filter(name="Second").count() == 1


def test_what_was_written_is_not_written_again_when_the_caller_changes_meanwhile(
    knowing, key, monkeypatch
):
    def look_again(view: Any, created: Site) -> dict[str, Any]:
        User.objects.update(username="renamed")
        return view.row_of(pk=created.pk)

    with monkeypatch.context() as patch:
        patch.setattr("sites.views.SiteViewSet.shown_new", look_again)
        assert post(knowing, SITES, b'{"name": "Second"}', **key).status[:3] == "500"
    assert Site.objects.filter(name="Second").count() == 1


def test_what_the_database_may_have_done_is_not_done_again(knowing, key, monkeypatch):
    calls = []

    def lose(**fields: Any) -> Site:
        calls.append(fields)
        raise OperationalError("The connection is lost.")

    monkeypatch.setattr("sites.services.create_site", lose)
    answer = post(knowing, SITES, b'{"name": "Second"}', **key)
    assert answer.status[:3] == "503"
    assert "Retry-After" in dict(answer.headers)
    assert len(calls) == 1


def test_is_measured_as_any_other(settings, key):
    settings.METRICS_TOKEN = "a-token-for-measurements"
    server = Server()
    measured = REQUESTS.labels("/api/v1/sites/sites", "POST", 201)
    sums = [measured._sum.get()]
    for name in ("First", "Second"):
        post(server, SITES, f'{{"name": "{name}"}}'.encode(), **key)
        sums.append(measured._sum.get())
    assert sums[0] < sums[1] < sums[2]
    assert len(server.went_long) == 1
