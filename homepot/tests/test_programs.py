"""Programs are answered past what only browsers need, and answered the same."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.tests.factories import make_device
from homepot.middleware import ProgramMiddleware

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites/sites"


@pytest.fixture
def went_short(monkeypatch) -> list[str]:
    """The paths that were answered the short way."""
    paths: list[str] = []
    make = ProgramMiddleware.__init__

    def make_and_note(middleware, get_response):
        make(middleware, get_response)
        answer = middleware.answer_program

        def note_and_answer(request):
            paths.append(request.path)
            return answer(request)

        middleware.answer_program = note_and_answer

    monkeypatch.setattr(ProgramMiddleware, "__init__", make_and_note)
    return paths


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", SITES, {}),
        ("GET", f"{SITES}/", {"limit": "1"}),
        ("HEAD", SITES, {}),
        ("OPTIONS", SITES, {}),
        ("POST", SITES, {"body": b'{"name": ""}'}),
        ("POST", SITES, {"body": b'{"name": "\\u0000"}'}),
        ("POST", f"{SITES}/none", {"body": b"{}"}),
        ("POST", "/api/v1/auth/users", {"body": b"{}"}),
        ("GET", f"{SITES}?limit=x", {}),
        ("GET", f"{SITES}?search=%00", {}),
        ("GET", f"{SITES}/none", {}),
        ("GET", "/api/v1/sites/none", {}),
        ("GET", "/api/v1/schema", {}),
        ("GET", "/api/v1/docs", {}),
        ("GET", "/api/v1/devices/pending", {}),
        ("GET", SITES, {"HTTP_ACCEPT": "application/json"}),
        ("GET", SITES, {"HTTP_ACCEPT": "text/html"}),
        ("GET", SITES, {"HTTP_HOST": "elsewhere.example.com"}),
        ("GET", SITES, {"HTTP_X_API_KEY": "hpk_wrong"}),
    ],
)
def test_answers_do_not_depend_on_the_way(went_short, method, path, more):
    make_device()
    key = make_api_key(make_user())
    headers = {"HTTP_X_API_KEY": key, "HTTP_X_REQUEST_ID": "the-same-request"} | more
    body = headers.pop("body", b"")
    answers = []
    for cookie in ({}, {"HTTP_COOKIE": "theme=dark"}):
        answer = Client().generic(method, path, body, "application/json", **headers, **cookie)
        content = answer.getvalue() if answer.streaming else answer.content
        told = {name: value for name, value in answer.headers.items() if name != "Vary"}
        vary = set(answer.headers.get("Vary", "").lower().split(", "))
        answers.append((answer.status_code, content, told, vary))
    assert answers[0] == answers[1]
    assert len(went_short) == 1


def test_export_streams_either_way(went_short, api_as):
    admin = api_as(Role.ADMIN)
    for cookie in ({}, {"HTTP_COOKIE": "theme=dark"}):
        answer = admin.get("/api/v1/audit/export", **cookie)
        assert (answer.status_code, answer.streaming) == (200, True)
        assert answer.getvalue().decode().splitlines()
    assert len(went_short) == 1


def test_unchanged_answer_is_not_sent_again(went_short, viewer):
    etag = viewer.get(SITES)["ETag"]
    assert viewer.get(SITES, headers={"If-None-Match": etag}).status_code == 304
    assert len(went_short) == 2


def test_refused_permission_and_crash_are_told_of_as_ever(went_short, viewer, monkeypatch):
    assert viewer.post(SITES, {"name": "Mine"}).status_code == 403
    refused = AuditLog.objects.filter(event_type=AuditEvent.PERMISSION_REFUSED)
    assert refused.count() == 1
    monkeypatch.setattr("sites.views.SiteViewSet.list", lambda *args, **kwargs: 1 / 0)
    viewer.raise_request_exception = False
    answer = viewer.get(SITES)
    assert (answer.status_code, answer.json()["code"]) == (500, "server_error")


@pytest.mark.parametrize(
    "headers",
    [{"HTTP_ORIGIN": "https://panel.example.com"}, {"HTTP_COOKIE": "sessionid=x"}],
)
def test_browsers_go_the_whole_way(went_short, viewer, headers):
    assert viewer.get(SITES, **headers).status_code == 200
    assert viewer.get("/admin/login/").status_code == 200
    assert went_short == []
