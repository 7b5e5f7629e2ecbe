"""The form of a new job: what it asks for each action, and clicks that come twice."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from accounts.enums import Role
from accounts.tests.factories import make_user
from devices.tests.factories import make_device
from homepot.tests.browser.conftest import Open
from jobs.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


def test_update_of_a_configuration_by_double_click(open_page: Open) -> None:
    device = make_device()
    page = open_page(make_user(role=Role.OPERATOR))
    page.goto("/admin/jobs/job/add/")
    version = page.get_by_label("Configuration version")
    expect(version).to_be_hidden()
    page.get_by_label("Action").select_option("Update configuration")
    expect(version).to_be_visible()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Say which configuration")).to_be_visible()

    version.fill("42")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text(device.device_id)).to_be_visible()
    page.get_by_role("button", name="Create job for 1 device").dblclick()

    title = f"Update configuration · {device.site.name} · 1 device"
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    assert Job.objects.get().config_version == "42"
