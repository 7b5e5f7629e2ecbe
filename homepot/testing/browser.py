"""Chromium, as tests and pictures start it, and a watch on what its pages do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Dialog,
        Request,
        Response,
    )

# Where nobody would notice that nothing was looked at, a machine without Chromium fails the run.
REQUIRED = "HOMEPOT_REQUIRE_BROWSER"
NOT_FOUND = (
    "BROWSER TESTS NOT RUN: no Chromium found. Install it, on Debian with `apt install chromium`."
)
# A machine with other work to do takes its time.
LAUNCH_SECONDS = 180
WAIT_SECONDS = 90
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    # No name is looked up, so no host outside is reached; and without a route for every
    # request, which would switch the cache off.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


def is_required() -> bool:
    return os.environ.get(REQUIRED, "") not in ("", "0", "false")


@contextmanager
def start_chromium() -> Iterator[Browser]:
    """Run Chromium until the block ends. Raises RuntimeError where there is none."""
    executable = find_chromium()
    if executable is None:
        raise RuntimeError(NOT_FOUND)
    # Imported only where it is used: runs of other tests should not wait for it.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=list(ARGUMENTS), timeout=LAUNCH_SECONDS * 1000
        )
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """Notes what no page of ours may do, or makes the browser say.

    That is: ask another host than `base`, miss a part of itself, write to the console, break a
    rule of its content security policy, raise an error, open a dialog. With which status a page
    itself answers is for the test to say.
    """

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base = base
        self._complaints: list[str] = []
        # What the console says of answers with an error, by their address.
        self._said: list[tuple[str, str]] = []
        self._refused_pages: set[str] = set()
        context.on("request", self._look_at_request)
        context.on("response", self._look_at_response)
        context.on("console", self._look_at_message)
        context.on("weberror", lambda error: self._complaints.append(f"Raised: {error.error}"))
        context.on("dialog", self._look_at_dialog)

    @property
    def complaints(self) -> list[str]:
        said = [text for url, text in self._said if url not in self._refused_pages]
        return self._complaints + said

    def _look_at_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.base}/", "data:", "blob:")):
            self._complaints.append(f"Asked outside: {request.url}")

    def _look_at_response(self, response: Response) -> None:
        if response.status < 400:
            return
        if response.request.is_navigation_request():
            self._refused_pages.add(response.url)
        else:
            self._complaints.append(f"Answered {response.status}: {response.url}")

    def _look_at_message(self, message: ConsoleMessage) -> None:
        # Hints for developers, such as what a password manager would like to know.
        if message.type == "verbose":
            return
        where = message.page.url if message.page else ""
        told = f"Said on {where}: {message.text}"
        if message.text.startswith("Failed to load resource"):
            self._said.append((message.location["url"], told))
        else:
            self._complaints.append(told)

    def _look_at_dialog(self, dialog: Dialog) -> None:
        self._complaints.append(f"Opened a dialog: {dialog.message}")
        dialog.dismiss()


def open_context(browser: Browser, base: str, **options: Any) -> tuple[BrowserContext, Watch]:
    """A browser of its own for pages of `base`, such as "http://127.0.0.1:8000"."""
    context = browser.new_context(base_url=base, **options)
    context.set_default_timeout(WAIT_SECONDS * 1000)
    return context, Watch(context, base)
