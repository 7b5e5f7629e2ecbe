"""Work done by keys alone, by somebody who has to see where they are."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from accounts.enums import Role
from accounts.tests.factories import make_user
from devices.enums import LifecycleState
from devices.tests.factories import make_device
from homepot.tests.browser.conftest import Open
from jobs.models import Job

pytestmark = pytest.mark.django_db(transaction=True)

# More than any page has from its beginning to the thing one is after.
MOST_TABS = 80
IS_FOCUSED = "element => element === document.activeElement"
# It, or what frames it, looks another way without the focus.
IS_SEEN = """element => {
    const still = new CSSStyleSheet();
    still.replaceSync("* { transition: none !important }");
    document.adoptedStyleSheets = [still];
    const look = () => [element, element.parentElement].map(it => {
        const { outline, boxShadow, borderColor, backgroundColor } = getComputedStyle(it);
        return [outline, boxShadow, borderColor, backgroundColor].join();
    }).join();
    const focused = look();
    element.blur();
    const left = look();
    element.focus({ focusVisible: true });
    return focused !== left;
}"""


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until `wanted` has the focus, which has to be seen."""
    expect(wanted).to_be_visible()
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if wanted.evaluate(IS_FOCUSED):
            assert wanted.evaluate(IS_SEEN), f"{wanted} does not show that it has the focus"
            return
    pytest.fail(f"No key leads to {wanted}")


def test_job_is_ordered_by_keys(open_page: Open) -> None:
    device = make_device()
    page = open_page(make_user(role=Role.OPERATOR))
    page.goto(f"/admin/sites/site/{device.site.pk}/change/")
    tab_to(page, page.get_by_role("link", name="New job"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Action"))
    page.keyboard.type("Health")
    tab_to(page, page.get_by_label("Description"))
    page.keyboard.type("By keys")
    tab_to(page, page.get_by_role("button", name="Preview"))
    page.keyboard.press("Enter")
    tab_to(page, page.locator("button[name=step]").first)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Progress")).to_be_visible()
    job = Job.objects.get()
    assert (job.action, job.description, job.total) == ("health_check", "By keys", 1)


def test_action_on_chosen_rows_by_keys(open_page: Open) -> None:
    device = make_device()
    page = open_page(make_user(role=Role.OPERATOR))
    page.goto("/admin/devices/device/")
    tab_to(page, page.locator("input[name=_selected_action]"))
    page.keyboard.press("Space")
    tab_to(page, page.locator("select[name=action]"))
    page.keyboard.type("Suspend")
    tab_to(page, page.get_by_role("button", name="Run"))
    page.keyboard.press("Enter")
    expect(page.get_by_text(device.device_id)).to_be_visible()
    tab_to(page, page.locator("#main form button[type=submit]").last)
    page.keyboard.press("Enter")
    expect(page).to_have_url("/admin/devices/device/")
    device.refresh_from_db()
    assert device.lifecycle_state == LifecycleState.SUSPENDED
