from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from accounts.tests.test_admin_policy import AUTOCOMPLETE, PAGES
from accounts.tests.test_policy import ROUTES, SPEAK, ids_of
from audit.models import AuditLog
from devices.models import DeviceCredential
from devices.tests.factories import make_credential, make_device
from homepot import pulse, sweeps
from homepot.database import read_only_options
from homepot.models import ServicePulse, Sweep
from homepot.read_only import is_refused_write
from homepot.readiness import look_at_sweeps
from homepot.tests.conftest import assert_refused as assert_told
from homepot.tests.conftest import run_python
from homepot.transfer.databases import connected, options_of
from jobs.tests.factories import order_job
from sites.models import Site

# Asking for work takes it, and what is taken out of the audit log is told in it.
WRITING_READS = {"devices/pending", "audit/export"}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def read_only(settings: Any, transactional_db: None) -> Iterator[Callable[[], None]]:
    """Turns the mode on, with both of its walls, when it is called."""

    def turn(word: str) -> None:
        settings.MAINTENANCE_READ_ONLY = word == "on"
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                connection.transaction_mode = "DEFERRED" if word == "on" else "IMMEDIATE"
                cursor.execute(f"PRAGMA query_only = {word}")
            else:
                cursor.execute(f"SET default_transaction_read_only = {word}")

    yield lambda: turn("on")
    turn("off")


def assert_refused(answer: Any) -> None:
    assert answer.status_code == 503, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "read_only"
    assert int(answer["Retry-After"]) > 0


def test_api_reads_and_refuses_every_change(read_only):
    device = make_device()
    ids = ids_of(device)
    order_job(device)
    admin, agent = APIClient(), APIClient()
    admin.credentials(HTTP_X_API_KEY=make_api_key(make_user(role=Role.ADMIN)))
    agent.credentials(HTTP_X_DEVICE_ID=device.device_id, HTTP_X_API_KEY=make_credential(device))
    other = make_user()
    read_only()
    for route, methods in ROUTES.items():
        for method, action in methods.items():
            api = agent if action is SPEAK else admin
            path = f"/api/v1/{route.format(pk=other.pk, **ids)}"
            answer = api.generic(method, path, b"{}", content_type="application/json")
            if method == "GET" and route not in WRITING_READS:
                assert answer.status_code == 200, (route, answer.content)
            else:
                assert_refused(answer)


def test_admin_shows_and_changes_nothing(read_only):
    device = make_device()
    admin = Client()
    admin.force_login(make_user(role=Role.ADMIN))
    read_only()
    for page in PAGES:
        if page == "logout/":
            continue
        query = AUTOCOMPLETE if page == "autocomplete/" else {"site": device.site_id}
        answer = admin.get(f"/admin/{page.format(pk=device.pk, import_pk=1)}", query)
        answer.close()
        # What leaves by a file is told in the audit log.
        may_refuse = "export" in page
        assert answer.status_code < 500 or (may_refuse and answer.status_code == 503), page
    answer = admin.post(f"/admin/devices/device/{device.pk}/change/", {"name": "New"})
    assert (answer.status_code, int(answer["Retry-After"]) > 0) == (503, True)
    assert "Nothing can be changed for some minutes" in answer.content.decode()
    assert "Read-only" in admin.get("/admin/").content.decode()


def test_database_refuses_what_gets_past_the_middleware(read_only, monkeypatch, client, api):
    """A GET that writes, in a page and in the API."""
    make_api_key(make_user(role=Role.ADMIN))
    client.force_login(make_user(role=Role.ADMIN))
    read_only()

    def write(*args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            Site.objects.create(site_id="new", name="New")

    monkeypatch.setattr("sites.admin.site.SiteAdmin.get_queryset", write)
    assert client.get("/admin/sites/site/").status_code == 503
    monkeypatch.setattr("sites.views.SiteViewSet.list", write)
    assert_refused(client.get("/api/v1/sites/sites"))
    assert not Site.objects.filter(site_id="new").exists()


def test_what_only_notes_a_read_is_left_out(read_only, client):
    device = make_device()
    key = make_credential(device)
    viewer = make_user(role=Role.VIEWER)
    client.force_login(viewer)
    session = client.session
    read_only()
    session["last_page"] = "devices"
    session.save()
    pulse.beat(timezone.now(), MINUTE, MINUTE)
    assert not sweeps.run_sweep("devices.sweeps.mark_silent_devices", "me", even_if_early=True)
    assert look_at_sweeps() == (True, "They stand still in read-only mode.")
    refused = client.get("/admin/accounts/user/")
    agent = APIClient(HTTP_X_DEVICE_ID=device.device_id, HTTP_X_API_KEY=key)
    permissions = agent.get(f"/api/v1/devices/device/{device.device_id}/permissions")
    assert (refused.status_code, permissions.status_code) == (403, 200)
    assert DeviceCredential.objects.get().last_used_at is None
    assert not ServicePulse.objects.exists()
    assert not Sweep.objects.exists()
    assert not AuditLog.objects.filter(event_type="permission_refused").exists()


@pytest.mark.django_db
def test_sessions_of_the_mode_cannot_write(migrated_database_url):
    """The wall itself, on connections of their own."""
    with connected(read_only_options(options_of(migrated_database_url))) as reading:
        with transaction.atomic(using=reading.alias):
            assert Site.objects.using(reading.alias).count() == 0
        with pytest.raises(DatabaseError) as caught, transaction.atomic(using=reading.alias):
            Site.objects.using(reading.alias).create(site_id="new", name="New")
        assert is_refused_write(caught.value)
    command = run_python(
        *("manage.py", "createsuperuser", "--noinput", "--username=ann", "--email=ann@example.com"),
        DATABASE__URL=migrated_database_url,
        MAINTENANCE__READ_ONLY="true",
        DJANGO_SUPERUSER_PASSWORD="A-long-pass-word-1",
    )
    assert_told(command, "MAINTENANCE__READ_ONLY")
