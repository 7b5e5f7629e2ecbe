"""What programs read all the time is answered as by the long way, to those who still may."""

from __future__ import annotations

import io
import logging
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.urls import resolve
from django.utils import timezone

from accounts import presumed
from accounts.enums import Role, SiteAccess
from accounts.keys import KEY_USE_NOTED_EVERY
from accounts.models import SiteMembership, User
from accounts.tests.factories import make_api_key, make_token, make_user
from audit.models import AuditLog
from devices.models import Device
from devices.tests.factories import make_device, make_event, make_health_check, make_status_change
from homepot.handler import TolerantWSGIHandler
from homepot.metrics.counters import REQUESTS
from homepot.routes import api_routes
from jobs.tests.factories import order_job

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites/sites"
READS = [
    ("sites/sites", "limit=1"),
    ("sites/sites", "search=store"),
    ("sites/sites/{site}", ""),
    ("devices/devices", "limit=1&ordering=name&device_type=kiosk"),
    ("devices/devices", "count=true"),
    ("devices/devices/{device}", ""),
    ("devices/sites/{site}/devices/", ""),
    ("devices/devices/{device}/health-checks", "since=2001-01-01T00%3A00%3A00Z"),
    ("devices/devices/{device}/status-changes", ""),
    ("devices/devices/{device}/events", ""),
    ("devices/devices/{device}/executions", ""),
    ("health/sites/{site}/health", ""),
    ("health/devices/{device}/health", ""),
    ("health/fleet", ""),
    ("jobs/jobs", ""),
    ("jobs/jobs/{job}", ""),
    ("jobs/jobs/{job}/executions", ""),
    ("jobs/sites/{site}/jobs", ""),
    ("audit/logs", "limit=2"),
    ("auth/users", ""),
    ("auth/users/{user}", ""),
]


class Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Server:
    """The application as a web server calls it; `went_long` lists what took the long way."""

    def __init__(self) -> None:
        self.application = TolerantWSGIHandler()
        self.went_long: list[str] = []
        answer = self.application.get_response

        def note_and_answer(request: Any) -> Any:
            self.went_long.append(request.path)
            return answer(request)

        self.application.get_response = note_and_answer  # type: ignore[method-assign]

    def get(self, path: str, query: str = "", **more: str) -> Answer:
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "HTTP_HOST": "localhost",
            "HTTP_X_REQUEST_ID": "the-same-request",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            **more,
        }
        told: list[Any] = []
        # As for Django's test client: the test's transaction is to go on.
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)
        try:
            body = b"".join(self.application(environ, lambda *said: told.extend(said)))
        finally:
            for signal in (request_started, request_finished):
                signal.connect(close_old_connections)
        status, headers = told
        return Answer(status, sorted(headers), body)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def device() -> Device:
    device = make_device(name="Till", device_type="kiosk", config={"a": ["Käse", 1, None]})
    make_health_check(device=device, response_data={"cpu": 5})
    make_status_change(device)
    make_event(device, data={"a": [None]})
    make_device(site=device.site, device_type="kiosk")
    return device


def by_key(user: User) -> dict[str, str]:
    return {"HTTP_X_API_KEY": make_api_key(user)}


def by_token(user: User) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {make_token(user)}"}


def scoped_viewer(device: Device) -> User:
    user = make_user(role=Role.VIEWER, site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=user, site=device.site)
    return user


def get_both_ways(server: Server, path: str, query: str = "", **headers: str) -> Answer:
    """The answer of the short way, which the long one gives too."""
    long = [server.get(path, query, **headers) for server in (Server(), server)]
    assert server.went_long == [path]
    short = server.get(path, query, **headers)
    assert server.went_long == [path]
    assert [short, short] == long
    return short


@pytest.mark.parametrize(("path", "query"), READS)
@pytest.mark.parametrize("who", [by_key, by_token])
def test_reads_are_answered_the_same_with_one_statement(
    server, device, count_statements, monkeypatch, path, query, who
):
    user = make_user(role=Role.ADMIN)
    job = order_job(device)
    now = timezone.now()
    monkeypatch.setattr("homepot.viewsets.timezone", SimpleNamespace(now=lambda: now))
    ids = {"site": device.site.site_id, "device": device.device_id, "job": job.job_id}
    path = f"/api/v1/{path.format(**ids, user=user.pk)}"
    headers = who(user)

    answer = get_both_ways(server, path, query, **headers)

    assert answer.status == "200 OK"
    more = ("count=true" in query) + ("users" in path)
    with count_statements(1 + more):
        assert server.get(path, query, **headers) == answer
    assert len(server.went_long) == 1


def test_every_action_that_reads_is_among_them():
    filled = {"site": "a", "device": "a", "job": "a", "user": 1}
    tried = {resolve(f"/api/v1/{path.format(**filled)}").func for path, _ in READS}
    for pattern in api_routes().patterns():
        callback: Any = pattern.callback
        action = getattr(callback, "actions", {}).get("get")
        if action and hasattr(getattr(callback.cls, action), "read"):
            assert callback in tried, pattern
            tried.remove(callback)
    assert not tried


@pytest.mark.parametrize("who", [by_key, by_token])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda user: User.objects.filter(pk=user.pk).update(is_active=False), "401"),
        (lambda user: User.objects.filter(pk=user.pk).update(role=Role.NONE), "403"),
        (lambda user: User.objects.filter(pk=user.pk).update(must_change_password=True), "403"),
        (lambda user: User.objects.filter(pk=user.pk).delete(), "401"),
    ],
    ids=["deactivated", "without-role", "has-to-change-password", "deleted"],
)
def test_whoever_may_not_any_more_is_refused_at_once(server, device, who, change, status):
    user = make_user()
    headers = who(user)
    get_both_ways(server, SITES, **headers)
    change(user)
    assert server.get(SITES, **headers).status[:3] == status
    assert server.get(SITES, **headers).status[:3] == status


@pytest.mark.parametrize(
    "change",
    [
        lambda user: User.objects.filter(pk=user.pk).update(api_key=None),
        lambda user: User.objects.update(api_key_expires_at=timezone.now() - timedelta(seconds=1)),
        make_api_key,
    ],
    ids=["revoked", "expired", "replaced"],
)
def test_key_that_is_not_good_any_more_is_refused_at_once(server, device, change):
    user = make_user()
    headers = by_key(user)
    get_both_ways(server, SITES, **headers)
    change(user)
    assert server.get(SITES, **headers).status == "401 Unauthorized"


@pytest.mark.parametrize(
    "change",
    [
        lambda user: user.auth_token_set.all().delete(),
        lambda user: user.auth_token_set.update(expiry=timezone.now() - timedelta(seconds=1)),
    ],
    ids=["revoked", "expired"],
)
def test_token_that_is_not_good_any_more_is_refused_at_once(server, device, change):
    user = make_user()
    headers = by_token(user)
    get_both_ways(server, SITES, **headers)
    change(user)
    assert server.get(SITES, **headers).status == "401 Unauthorized"


def test_key_that_was_given_to_somebody_else_shows_what_they_see(server, device):
    first, second = scoped_viewer(device), scoped_viewer(make_device())
    headers = by_key(first)
    path = f"/api/v1/devices/devices/{device.device_id}"
    get_both_ways(server, path, **headers)
    digest = User.objects.get(pk=first.pk).api_key
    User.objects.filter(pk=first.pk).update(api_key=None)
    User.objects.filter(pk=second.pk).update(api_key=digest)
    assert server.get(path, **headers).status == "404 Not Found"


def test_each_sees_their_own(server, device):
    other = make_device()
    mine, theirs = by_key(scoped_viewer(device)), by_token(scoped_viewer(other))
    for mate, headers in ((device, mine), (other, theirs)):
        page = server.get(SITES, **headers)
        assert page == server.get(SITES, **headers)
        assert mate.site.site_id.encode() in page.body
        assert b'"next":null' in page.body
    before = len(server.went_long)
    path = f"/api/v1/devices/devices/{other.device_id}"
    assert server.get(path, **theirs).status == "200 OK"
    assert server.get(path, **theirs).status == "200 OK"
    assert len(server.went_long) == before + 1
    assert server.get(path, **mine).status == "404 Not Found"
    User.objects.update(site_access=SiteAccess.ALL)
    assert server.get(path, **mine).status == "200 OK"


def test_use_of_a_key_is_noted_once_it_is_time(server, device):
    user = make_user()
    headers = by_key(user)
    get_both_ways(server, SITES, **headers)
    long_ago = timezone.now() - 2 * KEY_USE_NOTED_EVERY
    User.objects.update(api_key_last_used_at=long_ago)
    assert server.get(SITES, **headers).status == "200 OK"
    user.refresh_from_db()
    assert user.api_key_last_used_at > long_ago + KEY_USE_NOTED_EVERY
    before = len(server.went_long)
    assert server.get(SITES, **headers).status == "200 OK"
    assert len(server.went_long) == before


def test_unchanged_answer_is_not_sent_again(server, device):
    headers = by_key(make_user())
    tag = dict(server.get(SITES, **headers).headers)["ETag"]
    for each in (server, Server()):
        each.went_long.clear()
        unchanged = get_both_ways(each, SITES, HTTP_IF_NONE_MATCH=tag, **headers)
        assert (unchanged.status, unchanged.body) == ("304 Not Modified", b"")
    device.site.name = "Another name"
    device.site.save()
    assert server.get(SITES, HTTP_IF_NONE_MATCH=tag, **headers).status == "200 OK"
    assert len(server.went_long) == 1


@pytest.mark.parametrize(
    ("path", "query", "headers", "status"),
    [
        (SITES, "", {"REQUEST_METHOD": "HEAD"}, "200"),
        (SITES, "", {"REQUEST_METHOD": "OPTIONS"}, "200"),
        (SITES, "", {"REQUEST_METHOD": "DELETE"}, "403"),
        (SITES, "", {"HTTP_ACCEPT": "text/html"}, "406"),
        (SITES, "", {"HTTP_COOKIE": "theme=dark"}, "200"),
        (SITES, "", {"HTTP_ORIGIN": "https://panel.example.com"}, "200"),
        (SITES, "", {"HTTP_AUTHORIZATION": "Basic x"}, "200"),
        (SITES, "", {"HTTP_AUTHORIZATION": "Bearer x"}, "401"),
        (SITES, "", {"HTTP_X_API_KEY": "hpk_x"}, "401"),
        (SITES, "", {"HTTP_HOST": "elsewhere.example.com"}, "400"),
        (SITES, "", {"HTTP_IF_NONE_MATCH": "*"}, "304"),
        (SITES, "", {"HTTP_IF_MATCH": '"x"'}, "412"),
        (SITES, "", {"HTTP_IF_NONE_MATCH": '"x", "y"'}, "200"),
        (SITES, "limit=x", {}, "400"),
        (SITES, "limits=1", {}, "400"),
        (SITES, "limit=1&limit=2", {}, "400"),
        (SITES, "search=%00", {}, "400"),
        (SITES, "search=%FF", {}, "400"),
        (SITES, "search=nowhere", {}, "200"),
        (SITES, "cursor=x", {}, "400"),
        (SITES, "a=1&" * 1001, {}, "400"),
        (f"{SITES}/nowhere", "", {}, "404"),
        (f"{SITES}/a\n", "", {}, "404"),
        ("/api/v1/nowhere", "", {}, "404"),
        ("/api/v1/audit/export", "format=csv", {}, "200"),
    ],
)
def test_what_is_not_usual_goes_the_long_way(server, device, path, query, headers, status):
    user = make_user()
    key = by_key(user)
    get_both_ways(server, SITES, **key)
    answers = [each.get(path, query, **key | headers) for each in (server, server, Server())]
    assert len(set(map(str, answers))) == 1
    assert answers[0].status[:3] == status
    assert len(server.went_long) == 3


def test_links_and_headers_are_those_of_the_address_that_was_called(server, device, settings):
    make_device()
    settings.ALLOWED_HOSTS = ["localhost", "shop.example.com"]
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
    headers = by_key(make_user())
    get_both_ways(server, SITES, "limit=1", **headers)
    other = {**headers, "HTTP_HOST": "shop.example.com", "HTTP_X_FORWARDED_PROTO": "https"}
    page = get_both_ways(Server(), SITES, "limit=1", **other)
    assert b'"next":"https://shop.example.com/api/v1/sites/sites?limit=1&cursor=' in page.body
    assert server.get(SITES, "limit=1", **other) == page
    plain = server.get(SITES, "limit=1", **headers)
    assert b'"next":"http://localhost/' in plain.body
    # Whoever is no trusted proxy cannot say so.
    stranger = {**other, "REMOTE_ADDR": "192.0.2.1"}
    for _ in range(2):
        assert b'"next":"http://shop.' in server.get(SITES, "limit=1", **stranger).body


def test_each_answer_has_an_id_of_its_own(server, device):
    headers = by_key(make_user()) | {"HTTP_X_REQUEST_ID": ""}
    ids = [dict(server.get(SITES, **headers).headers)["X-Request-ID"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert [len(each) for each in ids] == [32] * 3


def test_fault_of_the_short_way_is_logged_and_answered_by_the_long_one(
    server, device, monkeypatch, caplog
):
    headers = by_key(make_user())
    answer = get_both_ways(server, SITES, **headers)
    monkeypatch.setattr("homepot.short_reads.to_json", lambda content: 1 / 0)
    with caplog.at_level(logging.ERROR):
        assert server.get(SITES, **headers) == answer
    assert "ZeroDivisionError" in caplog.text
    assert len(server.went_long) == 2


def test_no_rows_without_a_statement_that_asks_who_calls(server, device, monkeypatch, caplog):
    headers = by_key(make_user())
    get_both_ways(server, SITES, **headers)
    monkeypatch.setattr("sites.views.SiteViewSet.page_of", lambda view: {"sites": []})
    with caplog.at_level(logging.ERROR):
        server.get(SITES, **headers)
    assert "who was presumed" in caplog.text
    assert len(server.went_long) == 2


def test_only_so_many_are_remembered(server, device, monkeypatch):
    monkeypatch.setattr(presumed, "MAX_REMEMBERED", 2)
    callers = [by_key(make_user()) for _ in range(4)]
    for headers in callers * 2:
        assert server.get(SITES, **headers).status == "200 OK"
    assert len(presumed._remembered) <= 2


def test_is_measured_as_any_other(device, settings):
    settings.METRICS_TOKEN = "a-token-for-measurements"
    server, headers = Server(), by_key(make_user())
    measured = REQUESTS.labels("/api/v1/sites/sites", "GET", 200)
    before = measured._sum.get()
    get_both_ways(server, SITES, **headers)
    between = measured._sum.get()
    server.get(SITES, **headers)
    assert before < between < measured._sum.get()


def test_refusal_is_audited_as_ever(server, device):
    user = make_user()
    headers = by_key(user)
    path = "/api/v1/devices/devices"
    get_both_ways(server, path, **headers)
    User.objects.update(role=Role.NONE)
    assert server.get(path, **headers).status == "403 Forbidden"
    assert AuditLog.objects.filter(user=user, event_type="permission_refused").count() == 1
