"""The script that keeps a page up to date, in a browser that gets its answers from the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page

from homepot.testing.browser import WAIT_SECONDS

SCRIPT = (settings.BASE_DIR / "homepot/static/homepot/live.js").read_text()
PAGE = "http://homepot.example/"
ROWS = (
    '<tr data-key="2"><td><a href="/2">two</a></td></tr>'
    '<tr data-key="1"><td><a href="/1">one</a></td></tr>'
)


def part(rows: str = ROWS, *, count: int = 1, live: bool = True, state: str = "") -> str:
    address = 'data-homepot-live="/part" data-homepot-seconds="0.05"' if live else ""
    return (
        f'<div id="now" {address} data-homepot-state="{state}"><b>{count}</b>'
        f"<details><summary>More</summary>{count}</details><table><tbody>{rows}</tbody></table>"
        f'<svg viewBox="0 0 1 1"><path d="M0 {count}"/></svg></div>'
    )


@pytest.fixture
def answers() -> dict[str, Any]:
    return {"/": part(), "/part": part(), "asked": 0}


@pytest.fixture
def page(chromium: Browser, answers: dict[str, Any]) -> Iterator[Page]:
    page = chromium.new_page()
    page.set_default_timeout(WAIT_SECONDS * 1000)

    def answer(route: Any) -> None:
        path = "/" + route.request.url.removeprefix(PAGE)
        if path == "/part":
            answers["asked"] += 1
        if answers[path] is None:
            route.fulfill(status=302, headers={"Location": "/login"})
            return
        body = answers[path]
        if path == "/":
            body = f'{body}<p id="now-stale" hidden></p><script>{SCRIPT}</script>'
        route.fulfill(body=body, content_type="text/html")

    page.route("**/*", answer)
    page.goto(PAGE)
    page.evaluate("window.wasLoadedOnce = true")
    yield page
    page.close()


def test_what_differs_is_changed_in_place(page, answers):
    page.evaluate("document.querySelector('details').open = true")
    page.focus("a[href='/1']")
    rows = '<tr data-key="3"><td><a href="/3">three</a></td></tr>' + ROWS

    answers["/part"] = part(rows, count=5)
    page.wait_for_selector("b:text('5')")

    assert page.evaluate("document.activeElement.textContent") == "one"
    assert page.evaluate("document.querySelector('details').open")
    assert page.locator("a").all_text_contents() == ["three", "two", "one"]
    assert page.get_attribute("path", "d") == "M0 5"
    answers["/part"] = part('<tr data-key="1"><td><a href="/1">one!</a></td></tr>')
    page.wait_for_selector("a:text('one!')")
    assert page.locator("a").all_text_contents() == ["one!"]
    assert page.evaluate("document.activeElement.textContent") == "one!"
    assert page.evaluate("window.wasLoadedOnce")


def test_it_stops_when_there_is_nothing_more_to_wait_for(page, answers):
    answers["/part"] = part(count=2, live=False)
    page.wait_for_selector("b:text('2')")
    asked = answers["asked"]
    page.wait_for_timeout(300)
    assert answers["asked"] == asked


def test_page_is_loaded_again_when_its_state_is_another(page, answers):
    answers["/"] = part("", state="ended", live=False)
    answers["/part"] = part(state="ended")
    page.wait_for_selector("[data-homepot-state=ended]")
    assert not page.evaluate("window.wasLoadedOnce")


def test_what_is_not_up_to_date_says_so(page, answers):
    answers["/part"] = None
    page.wait_for_selector("#now-stale:not([hidden])")
    assert "Not up to date since" in page.inner_text("#now-stale")
    assert page.inner_text("b") == "1"
    answers["/part"] = part(count=7)
    page.wait_for_selector("b:text('7')")
    assert page.is_hidden("#now-stale")
