"""What databases, the framework and our own mistakes raise, as callers of the API see it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    close_old_connections,
    connection,
    transaction,
)
from django.http import Http404
from django.test import Client
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from accounts.tests.factories import make_api_key, make_user
from devices.models import HealthCheck
from devices.tests.factories import make_device, make_health_check
from homepot import urls
from homepot.errors import PROBLEM_CONTENT_TYPE, violated_columns
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

SITES = "/api/v1/sites/sites"
SECRET = "secret of /srv/homepot"
ENGINES = ("sqlite", "postgresql")


def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def raising(error):
    def cause():
        raise error

    return cause


def take_a_site_id_twice():
    with transaction.atomic():
        make_site(site_id="site-900")
        make_site(site_id="site-900")


def take_a_device_name_twice():
    with transaction.atomic():
        site = make_site()
        make_device(site=site, name="Till")
        make_device(site=site, name="Till")


def leave_a_range():
    with transaction.atomic():
        make_site(latitude=91)


def leave_a_column_out():
    with transaction.atomic():
        make_site(name=None)


def delete_a_site_with_devices():
    with transaction.atomic():
        make_device().site.delete()


def work_too_long():
    with transaction.atomic():
        execute("SET LOCAL statement_timeout = 20")
        execute("SELECT pg_sleep(5)")


def wait_too_long_for_a_lock():
    with psycopg.connect(**connection.get_connection_params()) as other, transaction.atomic():
        other.execute("SELECT pg_advisory_xact_lock(1)")
        execute("SET LOCAL lock_timeout = 20")
        execute("SELECT pg_advisory_xact_lock(1)")


def lose_the_connection():
    with transaction.atomic():
        make_site()
        execute("SELECT pg_terminate_backend(pg_backend_pid())")


def find_the_file_locked():
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        execute("PRAGMA busy_timeout = 20")
        make_site()
    finally:
        other.close()


def find_no_server():
    elsewhere = connection.copy(alias="elsewhere")
    nowhere = {"HOST": "/nonexistent", "NAME": "/nonexistent/homepot.db", "PASSWORD": SECRET}
    elsewhere.settings_dict = elsewhere.settings_dict | nowhere
    elsewhere.ensure_connection()


def find_the_pool_empty():
    pooled = [connection.copy(alias="pooled") for _ in range(2)]
    pool = {"min_size": 0, "max_size": 1, "timeout": 0.05}
    for wrapper in pooled:
        options = wrapper.settings_dict["OPTIONS"] | {"pool": pool}
        wrapper.settings_dict = wrapper.settings_dict | {"OPTIONS": options}
    try:
        for wrapper in pooled:
            wrapper.ensure_connection()
    finally:
        pooled[0].close()
        pooled[0].close_pool()


def use_a_closed_cursor():
    cursor = connection.cursor()
    cursor.close()
    cursor.execute("SELECT 1")


def store_an_over_long_text():
    with transaction.atomic():
        make_site(name="x" * 101)


def store_a_number_out_of_range():
    with transaction.atomic():
        make_health_check(response_time_ms=2**31)


def make_too_large_a_value():
    execute("SELECT zeroblob(2000000000)")


def recurse():
    recurse()


def crash():
    return {}[SECRET]


@dataclass(frozen=True)
class Expected:
    status: int
    code: str
    fields: tuple[str, ...] = ()
    # Whether somebody who runs the service should hear of it.
    is_logged: bool = False
    engines: tuple[str, ...] = ENGINES


CONFLICT = Expected(409, "conflict")
UNAVAILABLE = Expected(503, "unavailable", is_logged=True)
UNAVAILABLE_POSTGRESQL = Expected(503, "unavailable", is_logged=True, engines=("postgresql",))
UNCHECKED_POSTGRESQL = Expected(400, "invalid", is_logged=True, engines=("postgresql",))
UNCHECKED_SQLITE = Expected(400, "invalid", is_logged=True, engines=("sqlite",))
CRASH = Expected(500, "server_error", is_logged=True)

CAUSES: dict[str, tuple[Any, Expected]] = {
    "unique": (take_a_site_id_twice, Expected(409, "conflict", ("site_id",))),
    "unique-pair": (take_a_device_name_twice, Expected(409, "conflict", ("site_id", "name"))),
    "check": (leave_a_range, CONFLICT),
    "not-null": (leave_a_column_out, CONFLICT),
    "protected": (delete_a_site_with_devices, Expected(409, "still_referenced")),
    "no-server": (find_no_server, UNAVAILABLE),
    "interface": (raising(InterfaceError(SECRET)), UNAVAILABLE),
    "statement-timeout": (work_too_long, UNAVAILABLE_POSTGRESQL),
    "lock-timeout": (wait_too_long_for_a_lock, UNAVAILABLE_POSTGRESQL),
    "empty-pool": (find_the_pool_empty, UNAVAILABLE_POSTGRESQL),
    "closed-cursor": (use_a_closed_cursor, UNAVAILABLE_POSTGRESQL),
    "too-long": (store_an_over_long_text, UNCHECKED_POSTGRESQL),
    "out-of-range": (store_a_number_out_of_range, UNCHECKED_POSTGRESQL),
    "too-large": (make_too_large_a_value, UNCHECKED_SQLITE),
    "recursion": (recurse, Expected(400, "invalid", is_logged=True)),
    "crash": (crash, CRASH),
    "not-found": (raising(Http404(SECRET)), Expected(404, "not_found")),
    "denied": (raising(PermissionDenied(SECRET)), Expected(403, "permission_denied")),
    "suspicious": (raising(SuspiciousOperation(SECRET)), Expected(400, "bad_request")),
    "too-big": (raising(RequestDataTooBig(SECRET)), Expected(413, "payload_too_large")),
}
# These need a connection without a transaction, or end it.
CAUSES_OUTSIDE = {
    "lost-connection": (lose_the_connection, UNAVAILABLE_POSTGRESQL),
    "locked-file": (
        find_the_file_locked,
        Expected(503, "unavailable", is_logged=True, engines=("sqlite",)),
    ),
}


class Provoke(APIView):
    authentication_classes: list[type] = []
    permission_classes = [AllowAny]

    def post(self, request, cause):
        (CAUSES | CAUSES_OUTSIDE)[cause][0]()


def provoke_plainly(request, cause):
    CAUSES[cause][0]()


urlpatterns = [
    *urls.urlpatterns,
    path("api/v1/provoke/<cause>", Provoke.as_view()),
    path("api/v1/plain/<cause>", provoke_plainly),
    path("page/<cause>", provoke_plainly),
]
handler400 = urls.handler400
handler403 = urls.handler403
handler404 = urls.handler404
handler500 = urls.handler500


@pytest.fixture
def client():
    """Crashes are answered, as by the web server."""
    return Client(raise_request_exception=False)


def assert_problem(answer, expected):
    assert answer.status_code == expected.status, answer.content
    assert answer["Content-Type"] == PROBLEM_CONTENT_TYPE
    problem = json.loads(answer.content)
    assert (problem["status"], problem["code"]) == (expected.status, expected.code)
    assert set(problem.get("errors", ())) == set(expected.fields)
    assert ("Retry-After" in answer) == (expected.status == 503)
    for internal in ("secret", "nonexistent", "Traceback", ".py", "sites", "psycopg", "sqlite"):
        assert internal not in answer.content.decode()


def parametrize_causes(causes):
    return pytest.mark.parametrize(("cause", "expected"), [(c, e) for c, (_, e) in causes.items()])


def skip_unless_possible(expected):
    if connection.vendor not in expected.engines:
        pytest.skip(f"{connection.vendor} has no such error")


@parametrize_causes(CAUSES)
def test_each_error_has_its_answer(client, caplog, cause, expected):
    skip_unless_possible(expected)

    answer = client.post(f"/api/v1/provoke/{cause}")

    assert_problem(answer, expected)
    assert any(record.levelname == "ERROR" for record in caplog.records) is expected.is_logged
    # What was refused left nothing, and the transaction around it is usable.
    assert not Site.objects.exists()


@pytest.mark.django_db(transaction=True)
@parametrize_causes(CAUSES_OUTSIDE)
def test_the_next_request_gets_a_new_connection(client, cause, expected):
    skip_unless_possible(expected)
    key = make_api_key(make_user())

    assert_problem(client.post(f"/api/v1/provoke/{cause}"), expected)

    close_old_connections()  # as after every request
    answer = client.get(SITES, headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["sites"]) == (200, [])


def test_a_log_of_what_is_unavailable_names_no_password(client, caplog):
    client.post("/api/v1/provoke/no-server")
    assert "nonexistent" in caplog.text
    assert SECRET not in caplog.text


HANDLED = ("not-found", "denied", "suspicious", "too-big", "crash")


@parametrize_causes({cause: CAUSES[cause] for cause in HANDLED})
def test_below_api_every_handler_answers_in_json(client, cause, expected):
    assert_problem(client.post(f"/api/v1/plain/{cause}", {"a": 1}), expected)


@parametrize_causes({cause: CAUSES[cause] for cause in HANDLED})
def test_elsewhere_every_handler_answers_with_a_page(client, cause, expected):
    answer = client.get(f"/page/{cause}")
    # Django has no page of its own for 413.
    assert answer.status_code == (400 if cause == "too-big" else expected.status)
    assert answer["Content-Type"].startswith("text/html")
    assert "secret" not in answer.content.decode()


@pytest.mark.parametrize(
    ("where", "is_json"),
    [("/api", True), ("/api/", True), ("/api/x", True), ("/apis", False), ("/x/api/", False)],
)
def test_paths_below_api_are_told_from_others(client, where, is_json):
    answer = client.get(where)
    assert answer.status_code == 404
    assert (answer["Content-Type"] == PROBLEM_CONTENT_TYPE) is is_json


def test_our_own_words_on_a_bad_request_are_kept(client, monkeypatch):
    monkeypatch.setitem(CAUSES, "bad", (raising(BadRequest("The path is odd.")), None))
    for kind in ("provoke", "plain"):
        answer = client.post(f"/api/v1/{kind}/bad")
        assert (answer.status_code, answer.json()["detail"]) == (400, "The path is odd.")


def test_a_missing_csrf_token_is_refused_in_json():
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())
    answer = client.post(SITES, {"name": "New"}, content_type="application/json")
    assert_problem(answer, Expected(403, "permission_denied"))


@pytest.mark.parametrize(
    ("cause", "columns"),
    [
        (take_a_site_id_twice, ("site_id",)),
        (take_a_device_name_twice, ("site_id", "name")),
        (leave_a_range, ()),
        (leave_a_column_out, ()),
    ],
)
def test_violated_columns(cause, columns):
    with pytest.raises(IntegrityError) as caught:
        cause()
    assert violated_columns(caught.value) == columns


def test_violated_columns_whatever_the_values_hold():
    taken = make_device(name="UNIQUE constraint failed: a.b (c)=(d), e")
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        make_device(site=taken.site, name=taken.name)
    assert violated_columns(caught.value) == ("site_id", "name")


@pytest.mark.skipif("sqlite" in settings.DATABASES["default"]["ENGINE"], reason="takes 64 bits")
@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 2**32 + 5, 2**63, -(2**70)])
def test_an_integer_that_does_not_fit_is_refused_and_not_cut(number):
    check = make_health_check(response_time_ms=5)
    with pytest.raises(DataError), transaction.atomic():
        make_health_check(response_time_ms=number)
    with pytest.raises(DataError), transaction.atomic():
        HealthCheck.objects.update(response_time_ms=number)
    assert list(HealthCheck.objects.filter(response_time_ms__gt=-1)) == [check]
    assert not HealthCheck.objects.filter(response_time_ms=number).exists()


def test_violated_columns_whatever_language_the_server_speaks():
    class GermanViolation(psycopg.errors.UniqueViolation):
        diag = SimpleNamespace(message_detail="Schlüssel »(site_id)=(x)« existiert bereits.")

    error = IntegrityError()
    error.__cause__ = GermanViolation()
    assert violated_columns(error) == ("site_id",)
