from __future__ import annotations

import pytest
from django.db import connection

from accounts.enums import Role
from accounts.tests.factories import make_user
from audit.models import AuditLog
from devices.tests.factories import make_device
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites/sites"


def test_site_list_shows_newest_first(viewer):
    first, second = make_site(name="First"), make_site(name="Second")

    answer = viewer.get(SITES)

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert [site["name"] for site in answer.json()["sites"]] == ["Second", "First"]
    assert answer.json() | {"sites": []} == {"sites": [], "next": None, "previous": None}
    assert answer.json()["sites"][1] == {
        "site_id": first.site_id,
        "name": "First",
        "description": "",
        "location": "",
        "timezone": "UTC",
        "latitude": None,
        "longitude": None,
        "is_active": True,
        "created_at": first.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": first.updated_at.isoformat().replace("+00:00", "Z"),
    }
    assert second.created_at > first.created_at


@pytest.mark.parametrize("rows", [1, 3, 300])
def test_site_list_takes_two_statements(viewer, rows, count_statements):
    for _ in range(rows):
        make_site()
    # 1. the caller's key, 2. the sites
    with count_statements(2):
        answer = viewer.get(SITES, {"limit": 1000})
    assert len(answer.json()["sites"]) == rows


def test_site_detail_takes_two_statements(viewer, count_statements):
    site = make_site()
    # 1. the caller's key, 2. the site
    with count_statements(2):
        answer = viewer.get(f"{SITES}/{site.site_id}")
    assert answer.json() == viewer.get(SITES).json()["sites"][0]


@pytest.mark.parametrize("path", [SITES, f"{SITES}/"])
def test_site_create_takes_the_path_with_and_without_slash(operator, path):
    body = {
        "site_id": "site-900",
        "name": "Bäckerei 🥐 東",
        "description": "Corner shop",
        "location": "1 Main St",
        "timezone": "Europe/Berlin",
        "latitude": 52.5,
        "longitude": 13.4,
    }

    answer = operator.post(path, body)

    assert answer.status_code == 201, answer.content
    assert body.items() <= answer.json().items()
    assert operator.get(f"{SITES}/site-900").json() == answer.json()
    row = AuditLog.objects.get()
    assert (row.event_type, row.target_label) == ("site_created", "Bäckerei 🥐 東 (site-900)")
    assert row.actor_label == row.user.username
    assert row.request_id == answer["X-Request-ID"]
    assert row.site.site_id == "site-900"


@pytest.mark.parametrize(
    "more",
    [{}, {"latitude": -0.0, "longitude": 1e-7}, {"latitude": 52, "description": 'é"\\\n🥐\u2028'}],
)
def test_new_site_is_shown_as_it_is_read_later(operator, more):
    answer = operator.post(SITES, {"name": " Corner  shop ", **more})

    assert answer.content == operator.get(f"{SITES}/{answer.json()['site_id']}").content


def test_site_create_takes_few_statements(operator, count_statements):
    # 1. the caller's key, 2. the site and its audit row, which SQLite takes one by one
    with count_statements(2 if connection.vendor == "postgresql" else 3):
        operator.post(SITES, {"name": "Corner shop"})


def test_site_create_makes_an_id_when_none_is_given(operator):
    answer = operator.post(SITES, {"name": "No id"})

    assert answer.status_code == 201
    assert answer.json()["site_id"].startswith("site-")


@pytest.mark.parametrize("is_active", [True, False])
def test_site_create_refuses_a_taken_id_and_leaves_no_trace(operator, is_active):
    make_site(site_id="site-900", is_active=is_active)

    answer = operator.post(SITES, {"site_id": "site-900", "name": "Again"})

    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "The site id site-900 is taken; choose another.",
        "code": "already_exists",
        "errors": {"site_id": ["The site id site-900 is taken; choose another."]},
    }
    assert Site.objects.count() == 1
    assert not AuditLog.objects.exists()


def test_site_patch_changes_and_audits_only_what_differs(operator):
    site = make_site(name="Old", location="Here")

    answer = operator.patch(f"{SITES}/{site.site_id}", {"name": "New", "location": "Here"})

    assert answer.status_code == 200
    assert answer.json()["name"] == "New"
    assert answer.json()["updated_at"] > answer.json()["created_at"]
    row = AuditLog.objects.get()
    assert (row.event_type, row.old_values, row.new_values) == (
        "site_updated",
        {"name": "Old"},
        {"name": "New"},
    )


def test_site_patch_without_a_change_writes_nothing(operator):
    site = make_site(name="Same")

    answer = operator.patch(f"{SITES}/{site.site_id}", {"name": "Same"})

    assert answer.status_code == 200
    assert not AuditLog.objects.exists()
    assert Site.objects.get().updated_at == site.updated_at


def test_site_put_takes_back_what_get_gave(operator):
    site = make_site(timezone="Asia/Tokyo")
    body = operator.get(f"{SITES}/{site.site_id}").json()

    answer = operator.put(f"{SITES}/{site.site_id}", body | {"name": "Put"})

    assert answer.status_code == 200
    assert answer.json() | {"updated_at": ""} == body | {"name": "Put", "updated_at": ""}


def test_site_id_cannot_be_changed(operator):
    site = make_site()

    answer = operator.patch(f"{SITES}/{site.site_id}", {"site_id": "site-other"})

    assert answer.status_code == 400
    assert answer.json()["errors"] == {"site_id": ["This cannot be changed."]}


def test_site_delete_retires_it(operator):
    site = make_site()

    answer = operator.delete(f"{SITES}/{site.site_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert operator.get(f"{SITES}/{site.site_id}").status_code == 404
    assert operator.get(SITES).json()["sites"] == []
    assert Site.objects.get().is_active is False
    assert AuditLog.objects.get().event_type == "site_retired"


def test_site_with_active_devices_cannot_be_retired(operator):
    site = make_device().site

    answer = operator.delete(f"{SITES}/{site.site_id}")

    assert answer.status_code == 409
    assert answer.json()["code"] == "site_has_devices"
    assert answer.json()["detail"] == (
        f"Site {site.site_id} has 1 active device; retire or transfer them first."
    )


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [
        (Role.NONE, 403, 403),
        (Role.VIEWER, 200, 403),
        (Role.OPERATOR, 200, 201),
        (Role.ADMIN, 200, 201),
    ],
)
def test_site_access_follows_the_role(api_as, role, read, write):
    api = api_as(role)
    assert api.get(SITES).status_code == read
    assert api.post(SITES, {"name": "New"}).status_code == write


def test_anonymous_callers_get_401(api):
    answer = api.get(SITES)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


def test_anonymous_read_opens_sites_and_their_health_only(api, settings):
    settings.API_ANONYMOUS_READ = True
    site = make_device().site

    assert len(api.get(SITES).json()["sites"]) == 1
    assert api.get(f"{SITES}/{site.site_id}").status_code == 200
    assert api.get(f"/api/v1/health/sites/{site.site_id}/health").status_code == 200
    assert api.get("/api/v1/devices/devices").status_code == 401
    assert api.post(SITES, {"name": "New"}).status_code == 401


def test_session_needs_a_csrf_token_to_write(settings):
    from rest_framework.test import APIClient

    api = APIClient(enforce_csrf_checks=True)
    api.force_login(make_user(role=Role.OPERATOR))

    assert api.get(SITES).status_code == 200
    refused = api.post(SITES, {"name": "New"})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("search", "found"), [("main", ["Main Store"]), ("EAST", ["East Mall"]), ("zzz", [])]
)
def test_site_search_finds_parts_of_names_and_places(viewer, search, found):
    make_site(name="Main Store")
    make_site(name="East Mall", location="9 Elm St")

    answer = viewer.get(SITES, {"search": search})

    assert [site["name"] for site in answer.json()["sites"]] == found


def test_etag_answers_304_until_the_body_changes(operator):
    site = make_site()
    path = f"{SITES}/{site.site_id}"
    etag = operator.get(path)["ETag"]

    assert operator.get(path, HTTP_IF_NONE_MATCH=etag).status_code == 304
    operator.patch(path, {"name": "Changed"})
    assert operator.get(path, HTTP_IF_NONE_MATCH=etag).status_code == 200


def test_what_anyone_may_read_an_account_without_a_role_may_read_too(api_as, settings):
    settings.API_ANONYMOUS_READ = True
    make_site()
    api = api_as(Role.NONE)
    assert len(api.get(SITES).json()["sites"]) == 1
    assert api.post(SITES, {"name": "New"}).status_code == 403
