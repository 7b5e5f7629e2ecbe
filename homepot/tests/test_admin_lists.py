"""The lists of the admin when they are longer than a page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.enums import Role
from devices.tests.factories import make_device, make_health_check
from homepot.admin import ModelAdmin
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

DEVICES = "/admin/devices/device/"
CHECKS = "/admin/devices/healthcheck/"
ROWS = 7


@pytest.fixture(autouse=True)
def short_pages(monkeypatch):
    monkeypatch.setattr(ModelAdmin, "list_per_page", 3)


def link(page, text: str) -> str | None:
    """Where the link `text` below a list leads."""
    found = re.search(rf'<a href="([^"]*)"[^>]*>{text}</a>', page.content.decode())
    return found and found[1].replace("&amp;", "&")


def keys(page) -> list[int]:
    return [row.pk for row in page.context["cl"].result_list]


def walk(browser, path: str, start: str, text: str) -> list[list[int]]:
    """The keys of each page from `start` on, as long as the link `text` leads further."""
    query: str | None = start
    pages = []
    while query is not None:
        page = browser.get(path + query)
        pages.append(keys(page))
        query = link(page, text)
    return pages


@pytest.mark.parametrize("query", ["?", "?o=1", "?o=-1", "?o=5", "?q=pos-terminal&o=-5"])
def test_pages_show_every_row_once_and_lead_back(staff, query):
    site, now = make_site(), timezone.now()
    for number in range(ROWS):
        # Equal values, in pairs, are told apart by their ids.
        moment = now - timedelta(hours=number // 2)
        make_device(site=site, name=f"Till {number}", created_at=moment, status_since=moment)
    browser = staff(Role.OPERATOR)

    forth = walk(browser, DEVICES, query, "Next")

    assert [len(page) for page in forth] == [3, 3, 1]
    assert len({pk for page in forth for pk in page}) == ROWS
    last = browser.get(DEVICES + query)
    while (further := link(last, "Next")) is not None:
        last = browser.get(DEVICES + further)
    back = walk(browser, DEVICES, "?" + last.wsgi_request.META["QUERY_STRING"], "Previous")
    assert back[::-1] == forth
    assert keys(browser.get(DEVICES + (link(last, "First") or ""))) == forth[0]


def test_rows_that_come_meanwhile_neither_repeat_nor_hide_others(staff):
    for _ in range(ROWS):
        make_health_check()
    browser = staff(Role.OPERATOR)
    first = browser.get(CHECKS)
    make_health_check()
    second = browser.get(CHECKS + (link(first, "Next") or ""))
    assert keys(second) == [pk - 3 for pk in keys(first)]


@pytest.mark.parametrize(
    ("at_most", "said"),
    [(10_000, "7 devices"), (5, "more than 5 devices"), (0, "3 devices on this page")],
)
def test_rows_are_counted_up_to_a_limit(staff, monkeypatch, at_most, said, count_statements):
    monkeypatch.setattr(ModelAdmin, "count_at_most", at_most)
    for _ in range(ROWS):
        make_device()
    browser = staff(Role.OPERATOR)
    # 1. session, 2. account, 3. devices joined with their sites, 4. how many up to the limit
    with count_statements(4 if at_most else 3):
        page = browser.get(DEVICES)
    assert said in page.content.decode()


@pytest.mark.parametrize("cursor", ["x", "W10", "%00", "bnVsbA"])
def test_odd_cursors_lead_to_the_first_page(staff, cursor):
    answer = staff(Role.VIEWER).get(f"{DEVICES}?cursor={cursor}")
    assert answer.status_code in (302, 400)


def test_cursor_of_another_order_is_none_of_this_one(staff):
    for _ in range(ROWS):
        make_device()
    browser = staff(Role.OPERATOR)
    query = link(browser.get(DEVICES + "?o=1"), "Next") or ""
    assert browser.get(DEVICES + query).status_code == 200
    assert browser.get(DEVICES + query.replace("o=1", "o=-1")).status_code == 302


def test_long_list_that_fits_on_a_page_says_how_many_there_are(staff):
    make_health_check()
    assert "1 health check<" in staff(Role.VIEWER).get(CHECKS).content.decode()
