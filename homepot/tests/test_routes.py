"""Views of the API are found as Django finds them."""

from __future__ import annotations

import pytest
from django.urls import Resolver404, resolve

from homepot.routes import api_routes


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/sites/sites",
        "/api/v1/devices/devices/a",
        "/api/v1/devices/sites/a.b-c/devices",
        "/api/v1/health/devices/a/health/",
        "/api/v1/auth/users/7",
        "/api/v1/auth/users/seven",
        "/api/v1/devices/pending",
        "/api/v1/devices/devices/a/",
        "/api/v1/devices/devices/a%0A",
        "/api/v1/devices/devices/a\n",
        "/api/v1/devices/devices/-a",
        "/api/v1/devices/devices/a/rotate-key",
        "/api/v1/agent/check-ins",
        "/api/v1/schema",
        "/api/v1/",
        "/api/v1",
        "/admin/",
        "/",
    ],
)
def test_routes_of_the_api_are_found_as_by_django(path):
    found = api_routes().find(path)
    try:
        expected = resolve(path)
    except Resolver404:
        assert found is None
        return
    if not path.startswith("/api/"):
        assert found is None
        return
    assert found is not None
    for name in ("func", "args", "kwargs", "route", "view_name", "url_name", "captured_kwargs"):
        assert getattr(found, name) == getattr(expected, name), name
