"""SQL that is made once answers what Django would answer, to each caller with their own rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import product
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership
from accounts.tests.factories import make_api_key, make_token, make_user
from devices.enums import DeviceStatus, DeviceType
from devices.models import Device
from devices.pace import pace
from devices.tests.factories import make_device, make_event, make_health_check, make_status_change
from homepot import compiled
from homepot.compiled import Asked, Question
from homepot.renderers import to_json
from homepot.rows import RowShape
from jobs.tests.factories import order_job
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_compiled(monkeypatch):
    monkeypatch.setattr(compiled, "_compiled", {})


@pytest.fixture
def compared(monkeypatch) -> list[Question]:
    """The questions that were asked; each must be answered as by Django itself.

    And what lists write of the rows must be what dicts of them are in JSON.
    """
    asked: list[Question] = []
    rows_of, written_of = Question.rows, RowShape.written

    def rows(question: Question) -> Sequence[Sequence[Any]]:
        asked.append(question)
        rows = rows_of(question)
        assert orjson.loads(to_json(rows)) == orjson.loads(to_json(list(question.queryset())))
        return rows

    def written(shape: RowShape, rows: Sequence[Sequence[Any]]) -> Any:
        written = written_of(shape, rows)
        assert to_json(written) == to_json(shape.as_dicts(rows))
        assert bool(written) == bool(rows)
        return written

    monkeypatch.setattr(Question, "rows", rows)
    monkeypatch.setattr(RowShape, "written", written)
    return asked


def caller(*sites: Site, role: Role = Role.VIEWER, by_token: bool = False) -> APIClient:
    """Somebody who sees these sites alone, or without any all of them."""
    user = make_user(role=role, site_access=SiteAccess.SELECTED if sites else SiteAccess.ALL)
    for site in sites:
        SiteMembership.objects.create(user=user, site=site)
    api = APIClient()
    if by_token:
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(user)}")
    else:
        api.credentials(HTTP_X_API_KEY=make_api_key(user))
    return api


@pytest.fixture
def shops() -> list[Site]:
    """Three, with two devices each: one is there, one went silent that no sweep has marked."""
    shops = [make_site(name=f"Shop {number}") for number in range(3)]
    now = timezone.now()
    for shop in shops:
        for name, due_in in (("A", timedelta(hours=1)), ("B", timedelta(seconds=-5))):
            device = make_device(
                site=shop,
                name=name,
                device_type=DeviceType.KIOSK,
                status=DeviceStatus.ONLINE,
                status_due_at=now + due_in,
                last_seen=now,
                config={"menu": ["Käse", 1, {"x": 0.1}]},
            )
            make_health_check(device=device, response_data={"cpu": 5})
            make_status_change(device)
            make_event(device, data={"a": [None]})
        order_job(device)
    return shops


def walk(api: APIClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """All rows of a list, page by page to its end and back to its first page."""
    url = f"/api/v1/{path}?{urlencode(query)}"
    there, back = [], []
    for direction, rows in (("next", there), ("previous", back)):
        link: str | None = url
        while link:
            url = link
            body = api.get(link).json()
            [page] = (value for value in body.values() if isinstance(value, list))
            rows.append(page)
            link = body[direction]
    assert back == there[::-1]
    return [row for page in there for row in page]


LISTS = [
    ("sites/sites", ["created_at", "name", "site_id"], [{"search": "shop"}]),
    (
        "devices/devices",
        ["created_at", "name", "device_id", "status_since"],
        [{"status": "offline"}, {"device_type": "kiosk", "lifecycle_state": "active"}],
    ),
    ("devices/sites/{site}/devices", ["name"], [{"status": "online"}]),
    ("devices/devices/{device}/health-checks", ["checked_at"], [{"is_healthy": "true"}]),
    ("devices/devices/{device}/status-changes", ["at"], [{"since": "2001-01-01T00:00:00Z"}]),
    ("devices/devices/{device}/events", ["at"], [{"kind": "log"}]),
    ("devices/devices/{device}/executions", ["created_at"], [{"status": "queued"}]),
    ("jobs/jobs", ["created_at"], [{"priority": "normal"}, {"action": "ping"}]),
    ("jobs/sites/{site}/jobs", ["created_at"], [{"until": "2101-01-01T00:00:00Z"}]),
    ("audit/logs", ["created_at"], [{"event_type": "job_created", "actor": "system"}]),
]


@pytest.mark.parametrize(("path", "orderings", "filters"), LISTS, ids=[path for path, *_ in LISTS])
def test_lists_are_what_django_answers_and_each_sees_their_own(
    compared, shops, path, orderings, filters
):
    callers = [caller(role=Role.ADMIN), *(caller(shop) for shop in shops)]
    cases = [*product([{}], ("", "-"), orderings), *product(filters, "-", orderings[:1])]
    for filter, dash, name in cases:
        seen = []
        for shop, api in zip([shops[0], *shops], callers, strict=True):
            device = Device.objects.filter(site=shop).latest("pk")
            filled = path.format(site=shop.site_id, device=device.device_id)
            limit = 1 if seen else 4
            seen.append(walk(api, filled, limit=limit, ordering=dash + name, **filter))
        own = [orjson.dumps(row) for rows in seen[1:] for row in rows]
        # Whoever asks first makes the SQL for all of them.
        assert own
        assert len(set(own)) == len(own)
        if "{" not in path and path != "audit/logs":
            assert len(seen[0]) == len(own)


def test_single_things_are_what_django_answers(compared, shops):
    for shop in shops:
        for api in (caller(shop), caller(by_token=True)):
            [device, *_] = walk(api, f"devices/sites/{shop.site_id}/devices")
            path = f"/api/v1/devices/devices/{device['device_id']}"
            assert api.get(path).json() == device
            assert api.get(f"/api/v1/sites/sites/{shop.site_id}").json()["name"] == shop.name
            last_day = api.get(path.replace("devices", "health", 1) + "/health").json()
            assert last_day["last_check"]["response_data"] == {"cpu": 5}
            assert last_day["last_24_hours"]["checks"] == 1
            health = api.get(f"/api/v1/health/sites/{shop.site_id}/health").json()
            assert (health["healthy_devices"], health["offline_devices"]) == (1, 1)
    outsider = caller(make_site())
    assert outsider.get(path).status_code == 404
    assert outsider.get(f"/api/v1/health/sites/{shop.site_id}/health").status_code == 404


def test_what_a_process_learns_later_counts(compared, shops, settings, monkeypatch):
    device = Device.objects.filter(site=shops[0], name="B")
    now = timezone.now()
    device.update(
        status=DeviceStatus.MAINTENANCE, last_seen=now - timedelta(minutes=10), bad_checks=1
    )
    api = caller()
    path = f"/api/v1/devices/devices/{device.get().device_id}"
    assert api.get(path).json()["status"] == "offline"
    monkeypatch.setattr(pace, "active_devices", 300_000)
    assert api.get(path).json()["status"] == "error"
    settings.BAD_CHECKS_FOR_ERROR = 2
    assert api.get(path).json()["status"] == "online"


def test_each_kind_is_compiled_once(shops, settings):
    def kinds_after(api: APIClient, query: str = "") -> int:
        assert api.get(f"/api/v1/sites/sites{query}").status_code == 200
        return len(compiled._compiled)

    # The key, and the list.
    assert kinds_after(caller()) == 2
    assert kinds_after(caller()) == 2
    assert kinds_after(caller(shops[0])) == 3
    assert kinds_after(caller(shops[1])) == 3
    assert kinds_after(caller(role=Role.OPERATOR)) == 4
    assert kinds_after(caller(), "?limit=1") == 5
    # What is searched for is looked at by a method.
    assert kinds_after(caller(), "?search=x") == 5
    settings.API_ANONYMOUS_READ = True
    assert kinds_after(APIClient()) == 6
    settings.API_ANONYMOUS_READ = False
    assert APIClient().get("/api/v1/sites/sites").status_code == 401


def test_role_that_may_not_see_finds_nothing():
    make_site()
    user = make_user(role=Role.NONE)

    def all_sites(asked: Asked) -> Any:
        return Site.objects.visible_to(asked.user).values_list("name")

    assert Question(Asked(user, timezone.now()), all_sites).rows() == []
    user.role = Role.VIEWER
    assert len(Question(Asked(user, timezone.now()), all_sites).rows()) == 1


def test_object_is_what_django_makes_of_its_row():
    device = make_device(config={"menu": ["Käse", {"x": 0.1}]}, last_seen=timezone.now())

    def named(asked: Asked) -> Any:
        return Device.objects.filter(device_id=asked["device_id"])

    found = Question(Asked(None, None, {"device_id": device.device_id}), named).first(Device)
    assert found is not None
    for column in Device._meta.concrete_fields:
        assert getattr(found, column.attname) == getattr(
            Device.objects.get(pk=device.pk), column.attname
        )
    assert Question(Asked(None, None, {"device_id": "none"}), named).first(Device) is None


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite is given times as text")
def test_time_of_one_request_is_refused():
    def sites_so_far(asked: Asked) -> Any:
        return Site.objects.filter(created_at__lte=timezone.now()).values_list("name")

    with pytest.raises(TypeError, match="belongs to one request"):
        Question(Asked(None, timezone.now()), sites_so_far).rows()


def test_constants_and_percent_signs_stay_what_they_are():
    site = make_site(name="100 % 'it''s' \\ Shop")

    def named(asked: Asked, name: str) -> Any:
        sites = Site.objects.filter(name=name, site_id=asked["site_id"], latitude=None)
        return sites.values_list("name")

    asked = Asked(None, timezone.now(), {"site_id": site.site_id})
    for _ in range(2):
        assert Question(asked, named, (site.name,)).rows() == [(site.name,)]
        assert Question(asked, named, ("100 %s",)).rows() == []


def test_kinds_are_forgotten_when_there_are_too_many(viewer, monkeypatch):
    monkeypatch.setattr(compiled, "MAX_KINDS", 3)
    for limit in range(1, 6):
        assert viewer.get(f"/api/v1/sites/sites?limit={limit}").status_code == 200
        assert len(compiled._compiled) <= 3
