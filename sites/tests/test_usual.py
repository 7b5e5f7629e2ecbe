"""Usual sites are told as by the serializer, and nothing that it refuses is one."""

from __future__ import annotations

from typing import Any

import pytest

from sites.serializers import SiteSerializer
from sites.usual import usual_site

USUAL: list[Any] = [
    {"name": "Shop 1"},
    {"name": "x" * 100, "location": ""},
    {"location": "ö" * 200, "name": "Käse 日本"},
    {"name": "Shop", "site_id": "A-1._b" + "x" * 44, "timezone": "Europe/Berlin"},
]
UNUSUAL: list[Any] = [
    {"name": " Shop "},
    {"name": 7},
    {"name": "Shop", "latitude": 52.5},
    {"name": "Shop", "location": "Here\nand there"},
    {"name": "Shop", "unknown": 1},
    {"name": "Shop", "is_active": False},
]
REFUSED: list[Any] = [
    {},
    [],
    None,
    "Shop",
    {"name": None},
    {"name": ["Shop"]},
    {"name": ""},
    {"name": " "},
    {"name": "x" * 101},
    {"name": "Sh\top"},
    {"name": "\u202eShop"},
    {"name": "Shop", "site_id": ""},
    {"name": "Shop", "site_id": "a b"},
    {"name": "Shop", "site_id": "-a"},
    {"name": "Shop", "site_id": "x" * 51},
    {"name": "Shop", "location": "x" * 201},
    {"name": "Shop", "location": None},
    {"name": "Shop", "timezone": ""},
    {"name": "Shop", "timezone": "Mars/Olympus"},
]


@pytest.mark.parametrize("data", USUAL)
def test_usual_site_is_what_the_serializer_makes_of_it(data):
    serializer = SiteSerializer(data=data)
    assert serializer.is_valid()
    assert usual_site(data) == serializer.validated_data


@pytest.mark.parametrize("data", UNUSUAL)
def test_what_takes_more_is_left_to_the_serializer(data):
    assert usual_site(data) is None
    assert SiteSerializer(data=data).is_valid()


@pytest.mark.parametrize("data", REFUSED)
def test_what_is_refused_is_not_usual(data):
    assert usual_site(data) is None
    assert not SiteSerializer(data=data).is_valid()
