from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership, User
from accounts.permissions import action_of
from accounts.policy import Action, may
from accounts.tests.factories import make_api_key, make_user
from devices.models import Device
from devices.tests.factories import make_credential, make_device, make_health_check
from jobs.services import begin_device_task

pytestmark = pytest.mark.django_db

VIEW, OPERATE, SPEAK = Action.VIEW, Action.OPERATE, Action.SPEAK
ADMINISTER = Action.ADMINISTER

# Every route of the API, without its prefix, and what each of its methods takes. A route
# that is missing here, or declares something else, fails.
ROUTES: dict[str, dict[str, Action]] = {
    "auth/signup": {"POST": Action.ANYONE},
    "auth/login": {"POST": Action.ANYONE},
    "auth/logout": {"POST": Action.USE_ACCOUNT},
    "auth/logout-all": {"POST": Action.USE_ACCOUNT},
    "auth/me": {"GET": Action.USE_ACCOUNT, "PATCH": Action.CHANGE_ACCOUNT},
    "auth/me/password": {"POST": Action.USE_ACCOUNT},
    "auth/me/api-key": dict.fromkeys(("POST", "DELETE"), Action.CHANGE_ACCOUNT),
    "auth/users": {"GET": ADMINISTER, "POST": ADMINISTER},
    "auth/users/{pk}": dict.fromkeys(("GET", "PUT", "PATCH", "DELETE"), ADMINISTER),
    "auth/users/{pk}/role": {"PUT": ADMINISTER},
    "audit/logs": {"GET": VIEW},
    "audit/statistics": {"GET": VIEW},
    "audit/event-types": {"GET": VIEW},
    "audit/export": {"GET": VIEW},
    "sites/sites": {"GET": Action.VIEW_SITES, "POST": Action.CREATE_SITES},
    "sites/sites/{site_id}": {
        "GET": Action.VIEW_SITES,
        "PUT": OPERATE,
        "PATCH": OPERATE,
        "DELETE": OPERATE,
    },
    "devices/devices": {"GET": VIEW, "POST": OPERATE},
    "devices/devices/{device_id}": {
        "GET": VIEW,
        "PUT": OPERATE,
        "PATCH": OPERATE,
        "DELETE": OPERATE,
    },
    "devices/sites/{site_id}/devices": {"GET": VIEW, "POST": OPERATE},
    "devices/devices/{device_id}/health-checks": {"GET": VIEW, "POST": OPERATE},
    **{
        f"devices/devices/{{device_id}}/{name}": {"POST": OPERATE}
        for name in (
            "suspend",
            "resume",
            "retire",
            "re-enrol",
            "transfer",
            "maintenance",
            "rotate-key",
            "revoke-keys",
        )
    },
    "devices/devices/{device_id}/status-changes": {"GET": VIEW},
    "devices/devices/{device_id}/events": {"GET": VIEW},
    "devices/sites/{site_id}/enrolment-key": {"POST": OPERATE, "DELETE": OPERATE},
    "health/sites/{site_id}/health": {"GET": Action.VIEW_SITES},
    "health/devices/{device_id}/health": {"GET": VIEW},
    "health/fleet": {"GET": VIEW},
    "devices/bootstrap-provision": {"POST": Action.ANYONE},
    "devices/device/{device_id}/permissions": {"GET": SPEAK, "PATCH": SPEAK},
    **{
        f"agent/{name}": {"POST": SPEAK}
        for name in (
            "check-in",
            "check-ins",
            "heartbeat",
            "telemetry",
            "device-dna",
            "logs",
            "audit",
            "alert",
            "config-history",
        )
    },
    "jobs/jobs": {"GET": VIEW, "POST": OPERATE},
    "jobs/jobs/{job_id}": {"GET": VIEW},
    "jobs/jobs/{job_id}/cancel": {"POST": OPERATE},
    "jobs/jobs/{job_id}/retry": {"POST": OPERATE},
    "jobs/jobs/{job_id}/executions": {"GET": VIEW},
    "jobs/sites/{site_id}/jobs": {"GET": VIEW, "POST": OPERATE},
    "jobs/sites/{site_id}/work": {"GET": VIEW},
    "jobs/work": {"GET": VIEW},
    "devices/devices/{device_id}/executions": {"GET": VIEW},
    "devices/pending": {"GET": SPEAK},
    "devices/{device_id}/commands/{command_id}/ack": {"POST": SPEAK},
    "devices/{command_id}/status": {"PUT": SPEAK, "POST": SPEAK},
    "agent/jobs": {"POST": SPEAK},
    "agent/jobs/{job_id}": {"PUT": SPEAK},
    "push/pending": {"GET": SPEAK},
    "push/ack": {"POST": SPEAK},
    "schema": {"GET": Action.ANYONE},
    "docs": {"GET": Action.ANYONE},
}


def api_routes() -> Iterator[tuple[str, Any]]:
    """Every route under /api/v1/ with its view, as "devices/devices/{device_id}"."""

    def walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for pattern in patterns:
            path = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, path)
            elif isinstance(pattern, URLPattern) and path.lstrip("^").startswith("api/v1/"):
                yield readable(path), pattern.callback

    yield from walk(get_resolver().url_patterns, "")


def readable(pattern: str) -> str:
    """The path of a route, from its regular expression."""
    parts = pattern.removeprefix("^").removeprefix("api/v1/").replace("^", "")
    parts = parts.removesuffix("$").removesuffix("/?")
    while "(?P<" in parts:
        before, _, rest = parts.partition("(?P<")
        name, _, rest = rest.partition(">")
        depth, end = 1, 0
        while depth:
            depth += {"(": 1, ")": -1}.get(rest[end], 0)
            end += 1
        parts = f"{before}{{{name}}}{rest[end:]}"
    return parts


def methods_of(view: Any) -> set[str]:
    if actions := getattr(view, "actions", None):
        return {method.upper() for method in actions} - {"HEAD"}
    known = ("get", "post", "put", "patch", "delete")
    return {method.upper() for method in known if hasattr(view.cls, method)}


def test_every_route_declares_what_the_table_says():
    declared = {
        route: {
            method: action_of(view.cls(**view.initkwargs), method) for method in methods_of(view)
        }
        for route, view in api_routes()
    }
    assert declared == ROUTES


def test_device_may_speak_for_itself_and_nothing_else(site_and_device):
    device = site_and_device
    ids = ids_of(device)
    for route, methods in ROUTES.items():
        for method, action in methods.items():
            api = APIClient()
            key = make_credential(device)
            api.credentials(HTTP_X_DEVICE_ID=device.device_id, HTTP_X_API_KEY=key)
            path = f"/api/v1/{route.format(pk=make_user().pk, **ids)}"

            answer = api.generic(method, path, b"{}", content_type="application/json")

            if action in (SPEAK, Action.ANYONE):
                assert answer.status_code in (200, 400), (method, route, answer.content)
            else:
                assert answer.status_code == 401, (method, route, answer.content)


CALLERS = ("anonymous", "none", "viewer", "operator", "scoped operator", "admin", "stranger's key")


@pytest.fixture
def site_and_device():
    return make_health_check(device=make_device()).device


def ids_of(device: Device) -> dict[str, str]:
    """What the routes about `device` and a task of its own are called with."""
    job = begin_device_task(device=device, description="Defragment", payload={})
    return {
        "site_id": device.site.site_id,
        "device_id": device.device_id,
        "job_id": job.job_id,
        "command_id": str(job.executions.get().execution_id),
    }


def sign_in(caller: str, device: Any) -> tuple[APIClient, User | None]:
    api = APIClient()
    if caller == "anonymous":
        return api, None
    if caller == "stranger's key":
        api.credentials(HTTP_X_API_KEY="hpk_" + "x" * 43)
        return api, None
    user = make_user(role=Role(caller.split()[-1]))
    if caller.startswith("scoped"):
        user.site_access = SiteAccess.SELECTED
        user.save(update_fields=["site_access"])
        SiteMembership.objects.create(user=user, site=device.site)
    api.credentials(HTTP_X_API_KEY=make_api_key(user))
    return api, user


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_lets_in_whom_the_policy_lets_in(site_and_device, caller, route):
    device = site_and_device
    ids = ids_of(device)
    for method, action in ROUTES[route].items():
        api, user = sign_in(caller, device)
        path = f"/api/v1/{route.format(pk=make_user().pk, **ids)}"

        answer = api.generic(method, path, b"{}", content_type="application/json")

        if user is not None and may(user, action):
            # Not refused; an empty body or a busy site may still be.
            assert answer.status_code in (200, 201, 204, 400, 409), (method, answer.content)
        elif action is Action.ANYONE:
            assert answer.status_code in (200, 400)
        elif user is None or action is SPEAK:  # to devices only: an account is nobody there
            assert answer.status_code == 401, (method, answer.content)
        else:
            assert answer.status_code == 403, (method, answer.content)


@pytest.mark.parametrize("flag", ["must_change_password", "is_inactive"])
def test_accounts_that_may_do_nothing(flag):
    user = make_user(role=Role.ADMIN)
    if flag == "is_inactive":
        user.is_active = False
    else:
        user.must_change_password = True
    allowed = {action for action in Action if may(user, action)}
    assert allowed == (
        {Action.ANYONE} if flag == "is_inactive" else {Action.ANYONE, Action.USE_ACCOUNT}
    )
