"""Whether everybody can use the pages, as axe judges: light, dark, and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from accounts.enums import Role
from accounts.tests.factories import make_user
from devices.enums import DeviceStatus
from devices.models import Device
from devices.tests.factories import (
    make_credential,
    make_device,
    make_event,
    make_health_check,
    make_status_change,
)
from homepot.tests.browser import planted
from homepot.tests.browser.conftest import Open
from jobs.models import Job
from jobs.tests.factories import order_job
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db(transaction=True)

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 812}
SERIOUS = ("serious", "critical")
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
LOOKS: tuple[tuple[Any, Any, Any], ...] = (
    ("light", DESKTOP, RULES),
    ("dark", DESKTOP, COLOURS),
    ("light", PHONE, RULES),
)
# What has the colour of its ground is not judged but left to a person; here nothing hides so.
JUDGE = """async rules => {
    const told = await axe.run({runOnly: rules, resultTypes: ["violations", "incomplete"]});
    const isHidden = node => node.any[0]?.data?.messageKey === "equalRatio";
    const broken = (rule, nodes) => nodes.map(({target, any, html}) => ({
        id: rule.id, impact: rule.impact, where: target.join(" "), html: html.slice(0, 200),
        why: any[0]?.message,
    }));
    return [
        ...told.violations.flatMap(rule => broken(rule, rule.nodes)),
        ...told.incomplete.flatMap(rule => broken(rule, rule.nodes.filter(isHidden))),
    ];
}"""
SET_THEME = "isDark => document.documentElement.classList.toggle('dark', isDark)"


@pytest.fixture
def job() -> Job:
    """Of five devices at one site, in all states that there are."""
    site = make_site(name="Harbour")
    devices = [make_device(site=site, status=status) for status in DeviceStatus.values]
    for device in devices:
        make_health_check(device=device, is_healthy=False, error_message="No paper")
        make_status_change(device, reason="No paper")
        make_event(device, severity="warning", message="Low on paper")
        make_credential(device)
    return order_job(*devices, description="Prices")


def serious_faults(page: Page) -> list[str]:
    page.evaluate(AXE_SCRIPT)
    faults = []
    for scheme, size, rules in LOOKS:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        # The theme looks at the scheme only when it starts.
        page.evaluate(SET_THEME, scheme == "dark")
        page.set_viewport_size(size)
        faults += [
            f"{page.url} {scheme} {size['width']}: {fault}"
            for fault in page.evaluate(JUDGE, rules)
            if fault["impact"] in SERIOUS
        ]
    return faults


def test_pages_can_be_used_by_everybody(job: Job, open_page: Open) -> None:
    admin = make_user(role=Role.ADMIN)
    device = Device.objects.latest("pk")
    guest, page = open_page(), open_page(admin)
    guest.goto("/admin/login/")
    faults = serious_faults(guest)
    for path in (
        "",
        f"sites/site/{device.site.pk}/change/",
        "devices/device/",
        "devices/device/import/",
        f"devices/device/import/{planted.upload(admin, 'devices/device')}/",
        f"devices/device/{device.pk}/change/",
        f"devices/device/{device.pk}/maintenance/",
        f"jobs/job/add/?site={device.site.pk}",
        f"jobs/job/{job.pk}/change/",
        "jobs/jobexecution/",
        "accounts/user/add/",
        f"accounts/user/{admin.pk}/change/",
        "audit/auditlog/",
    ):
        page.goto(f"/admin/{path}")
        faults += serious_faults(page)
    page.goto(f"/admin/jobs/job/add/?site={device.site.pk}")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("button[name=step]").first).to_be_visible()
    faults += serious_faults(page)
    assert faults == [], "\n".join(faults)
