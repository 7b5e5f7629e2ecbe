from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from django.db import models
from rest_framework.exceptions import ValidationError

from homepot.pagination import Cursor
from sites.models import Site

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites/sites"
AT = datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.fixture
def equal_sites():
    """2,500 sites that are equal in every column a list can be ordered by but one."""
    Site.objects.bulk_create(
        Site(site_id=f"site-{number:04}", name="Same", created_at=AT) for number in range(2500)
    )


@pytest.mark.parametrize("ordering", ["created_at", "-created_at", "name", "-name", "-site_id"])
def test_walking_forward_and_back_meets_every_row_once(viewer, equal_sites, ordering):
    link: str | None = f"{SITES}?ordering={ordering}&limit=999"
    pages = []
    last = None
    while link:
        last = link
        body = viewer.get(link).json()
        pages.append([site["site_id"] for site in body["sites"]])
        link = body["next"]
    ids = [site_id for page in pages for site_id in page]
    assert [len(page) for page in pages] == [999, 999, 502]
    assert sorted(ids) == [f"site-{number:04}" for number in range(2500)]
    assert ids == sorted(ids, reverse=ordering.startswith("-"))

    back = []
    link = last
    while link:
        body = viewer.get(link).json()
        back.append([site["site_id"] for site in body["sites"]])
        link = body["previous"]
    assert back == pages[::-1]


def test_first_page_has_no_previous_and_last_no_next(viewer, equal_sites):
    first = viewer.get(SITES, {"limit": 1000}).json()
    second = viewer.get(first["next"]).json()
    third = viewer.get(second["next"]).json()
    again = viewer.get(second["previous"]).json()

    assert first["previous"] is None
    assert third["next"] is None
    assert again["sites"] == first["sites"]
    assert again["previous"] is None


def test_links_repeat_what_was_asked_in_its_order(viewer):
    for number in range(2):
        Site.objects.create(site_id=f"site-{number}", name="a & b=ü")
    asked = {"search": "a & b=ü", "limit": 1}
    link = viewer.get(SITES, asked).json()["next"]
    cursor = link.rpartition("cursor=")[2]
    assert link == f"http://testserver{SITES}?{urlencode(asked)}&cursor={cursor}"

    back = viewer.get(SITES, {"cursor": cursor, **asked}).json()["previous"]
    assert back.startswith(f"http://testserver{SITES}?cursor=")
    assert back.endswith(f"&{urlencode(asked)}")
    assert viewer.get(back).json()["next"].endswith(f"&{urlencode(asked)}")


def test_rows_that_go_meanwhile_hide_no_others(viewer, equal_sites):
    page = viewer.get(SITES, {"ordering": "site_id", "limit": 10}).json()
    Site.objects.filter(site_id__in=["site-0003", "site-0009", "site-0010"]).delete()

    following = viewer.get(page["next"]).json()

    assert following["sites"][0]["site_id"] == "site-0011"


def test_count_comes_only_on_demand(viewer, equal_sites, count_statements):
    # 1. the caller's key, 2. the page, 3. the count
    with count_statements(3):
        body = viewer.get(SITES, {"count": "true", "limit": 1}).json()
    assert body["count"] == 2500
    assert "count" not in viewer.get(SITES).json()


@pytest.mark.parametrize(
    ("limit", "rows"),
    [("0", 1), ("-5", 1), ("-99999999999", 1), ("7", 7), ("1000", 1000), ("9" * 5000, 1000)],
)
def test_limit_is_clamped(viewer, equal_sites, limit, rows):
    assert len(viewer.get(SITES, {"limit": limit}).json()["sites"]) == rows


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (models.DateTimeField(), AT),
        (models.CharField(), "Bäckerei 🥐"),
        (models.CharField(), ""),
        (models.PositiveSmallIntegerField(), 0),
        (models.BigIntegerField(), -(2**63) + 1),
    ],
)
def test_cursor_is_read_as_it_was_written(column, value):
    cursor = Cursor("things -value", value, 2**63 - 1, True)
    assert Cursor.decode(cursor.encode(), "things -value", column) == cursor


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (models.IntegerField(), "5"),
        (models.IntegerField(), 2**63),
        (models.IntegerField(), 1.5),
        (models.IntegerField(), None),
        (models.CharField(), 5),
        (models.DateTimeField(), 5),
        (models.FloatField(), 1.5),
    ],
)
def test_cursor_of_another_kind_of_column_is_refused(column, value):
    text = Cursor("things value", value, 1, False).encode()
    with pytest.raises(ValidationError):
        Cursor.decode(text, "things value", column)


@pytest.mark.parametrize("order", ["things value", "things -other", "others -value", ""])
def test_cursor_of_another_order_is_refused(order):
    text = Cursor("things -value", "x", 1, False).encode()
    with pytest.raises(ValidationError):
        Cursor.decode(text, order, models.CharField())
