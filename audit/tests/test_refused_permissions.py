from __future__ import annotations

from datetime import UTC, datetime
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from audit import services
from audit.models import AuditLog
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites/sites"
AT = datetime(2026, 1, 31, 8, 0, 59, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch):
    """Requests are served at `clock.now`."""

    class Clock:
        now = AT

    monkeypatch.setattr(timezone, "now", lambda: Clock.now)
    return Clock


def test_refused_permission_is_told_with_actor_and_route(viewer):
    answer = viewer.post(SITES, {"name": "New"}, HTTP_USER_AGENT="curl/8")

    assert answer.status_code == 403
    row = AuditLog.objects.get()
    assert (row.event_type, row.outcome, row.severity) == (
        "permission_refused",
        "denied",
        "warning",
    )
    assert row.actor_label == row.user.username
    assert row.description == f"POST {SITES}"
    assert row.event_metadata == {
        "method": "POST",
        "path": SITES,
        "route": "api/v1/sites/sites/?$",
    }
    assert (row.request_id, row.ip_address, row.user_agent) == (
        answer["X-Request-ID"],
        "127.0.0.1",
        "curl/8",
    )


def test_refusals_are_told_once_per_actor_route_and_minute(viewer, clock):
    other = APIClient()
    other.credentials(HTTP_X_API_KEY=make_api_key(make_user(role=Role.VIEWER)))
    first, second = make_site(), make_site()

    for _ in range(3):
        viewer.post(SITES, {"name": "New"})
    assert AuditLog.objects.count() == 1
    viewer.patch(f"{SITES}/{first.site_id}", {"name": "New"})
    viewer.delete(f"{SITES}/{second.site_id}")  # the same route
    assert AuditLog.objects.count() == 2
    other.post(SITES, {"name": "New"})
    assert AuditLog.objects.count() == 3
    clock.now = AT.replace(minute=1, second=0)
    viewer.post(SITES, {"name": "New"})
    assert AuditLog.objects.count() == 4


def test_refusal_takes_one_statement_more(viewer, count_statements):
    # 1. the caller's key, 2. the audit row, or that it is there already
    for _ in range(2):
        with count_statements(2):
            viewer.post(SITES, {"name": "New"})


def test_strangers_are_logged_and_not_audited(api, caplog):
    assert api.post(SITES, {"name": "New"}).status_code == 401
    assert "Refused" not in caplog.text
    api.credentials(HTTP_X_API_KEY="hpk_" + "x" * 43)
    assert api.post(SITES, {"name": "New"}).status_code == 401
    assert "Refused 127.0.0.1: The API key is unknown, expired or revoked." in caplog.text
    assert "xxx" not in caplog.text
    assert not AuditLog.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_refusals_at_the_same_time_are_told_once():
    actor = make_user()

    def refuse() -> None:
        try:
            services.record_refused_permission(
                actor=actor, route="sites/", method="POST", path="/sites/", now=AT
            )
        finally:
            connection.close()

    threads = [Thread(target=refuse) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert AuditLog.objects.count() == 1
