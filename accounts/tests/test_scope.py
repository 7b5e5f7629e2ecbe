"""What is outside somebody's sites does not exist for them, wherever they look."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership
from accounts.tests.factories import make_api_key, make_user
from audit.models import AuditLog
from devices.models import Device
from devices.tests.factories import make_device, make_health_check

pytestmark = pytest.mark.django_db


@pytest.fixture
def own():
    return make_health_check(device=make_device()).device


@pytest.fixture
def other():
    return make_health_check(device=make_device()).device


@pytest.fixture
def scoped(own, other) -> APIClient:
    user = make_user(role=Role.OPERATOR, site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=user, site=own.site)
    api = APIClient()
    api.credentials(HTTP_X_API_KEY=make_api_key(user))
    return api


def test_lists_hold_own_sites_only(scoped, own, count_statements):
    # 1. the caller's key, 2. the rows: the scope costs no statement of its own
    with count_statements(2):
        sites = scoped.get("/api/v1/sites/sites?limit=10").json()["sites"]
    devices = scoped.get("/api/v1/devices/devices?count=true").json()
    assert [site["site_id"] for site in sites] == [own.site.site_id]
    assert [device["device_id"] for device in devices["devices"]] == [own.device_id]
    assert devices["count"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "sites/sites/{site}", None),
        ("PATCH", "sites/sites/{site}", {"name": "Mine"}),
        ("DELETE", "sites/sites/{site}", None),
        ("GET", "health/sites/{site}/health", None),
        ("GET", "devices/sites/{site}/devices", None),
        ("POST", "devices/sites/{site}/devices", {"name": "Mine"}),
        ("GET", "devices/devices/{device}", None),
        ("PATCH", "devices/devices/{device}", {"name": "Mine"}),
        ("DELETE", "devices/devices/{device}", None),
        ("GET", "devices/devices/{device}/health-checks", None),
        ("POST", "devices/devices/{device}/health-checks", {"is_healthy": True}),
    ],
)
def test_what_is_outside_answers_as_what_is_not_there(scoped, other, method, path, body):
    def answer_of(site: str, device: str):
        url = f"/api/v1/{path.format(site=site, device=device)}"
        return scoped.generic(
            method,
            url,
            APIClient()._encode_data(body, "json")[0] if body else b"",
            content_type="application/json",
        )

    outside = answer_of(other.site.site_id, other.device_id)
    missing = answer_of("site-none", "till-none")

    assert outside.status_code == missing.status_code == 404
    assert outside.content == missing.content
    other.refresh_from_db()
    assert (other.is_active, other.name) == (True, other.name)
    assert not AuditLog.objects.exists()


def test_filtering_by_a_site_outside_finds_nothing(scoped, other):
    answer = scoped.get("/api/v1/devices/devices", {"site_id": other.site.site_id})
    assert answer.json()["devices"] == []


def test_devices_are_registered_at_own_sites_only(scoped, own, other):
    refused = scoped.post("/api/v1/devices/devices", {"site_id": other.site.site_id, "name": "New"})
    missing = scoped.post("/api/v1/devices/devices", {"site_id": "site-none", "name": "New"})
    allowed = scoped.post("/api/v1/devices/devices", {"site_id": own.site.site_id, "name": "New"})
    assert (refused.status_code, missing.status_code, allowed.status_code) == (400, 400, 201)
    assert refused.json()["errors"]["site_id"] == [
        missing.json()["errors"]["site_id"][0].replace("site-none", other.site.site_id)
    ]
    assert Device.objects.filter(name="New").count() == 1


def test_whoever_sees_selected_sites_cannot_open_new_ones(scoped):
    answer = scoped.post("/api/v1/sites/sites", {"name": "New"})
    assert answer.status_code == 403
