"""Chromium, and the real server on the database of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django import DjangoDbBlocker

from accounts.models import User
from homepot.models import ServicePulse
from homepot.testing import processes
from homepot.testing.browser import (
    NOT_FOUND,
    WAIT_SECONDS,
    Watch,
    find_chromium,
    is_required,
    open_context,
    start_chromium,
)

Open = Callable[..., Page]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if find_chromium() is None:
        (pytest.fail if is_required() else pytest.skip)(NOT_FOUND)
    expect.set_options(timeout=WAIT_SECONDS * 1000)
    # Playwright leaves an event loop running in this thread, which has no turn while we query.
    with pytest.MonkeyPatch.context() as patch, start_chromium() as browser:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield browser


@pytest.fixture(scope="package")
def server(
    chromium: Browser, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """The address of a server that lasts for all tests here: http://127.0.0.1:41234."""
    port = processes.free_port()
    # Nobody reads what it says; more than a pipe holds would stop it.
    with processes.serve(port, "--workers", "1", LOGGING__LEVEL="ERROR"):
        yield f"http://{processes.HOST}:{port}"
    # It noted that it was alive when the last test had tidied up already.
    with django_db_blocker.unblock():
        ServicePulse.objects.all().delete()


@pytest.fixture
def opened() -> Iterator[list[tuple[BrowserContext, Watch]]]:
    """What a test opened, closed at its end; fails it for what the pages should not have done."""
    everything: list[tuple[BrowserContext, Watch]] = []
    yield everything
    complaints = [complaint for _, watch in everything for complaint in watch.complaints]
    for context, _ in everything:
        context.close()
    assert complaints == [], "\n".join(complaints)


@pytest.fixture
def open_page(
    transactional_db: None,
    chromium: Browser,
    server: str,
    opened: list[tuple[BrowserContext, Watch]],
) -> Open:
    """`open_page(user)` is an empty page of a browser in which `user` has signed in."""

    def open_one(user: User | None = None, **options: Any) -> Page:
        context, watch = open_context(chromium, server, **options)
        opened.append((context, watch))
        if user is not None:
            client = Client()
            client.force_login(user)
            cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies(
                [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": server}]
            )
        return context.new_page()

    return open_one
