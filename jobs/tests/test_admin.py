from __future__ import annotations

import pytest

from accounts.enums import Role
from accounts.tests.factories import make_user
from devices.tests.factories import make_device
from jobs.enums import JobPriority, JobStatus
from jobs.models import Job
from jobs.tests.factories import make_job

pytestmark = pytest.mark.django_db

LIST = "/admin/jobs/job/"
SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize("rows", [1, 3])
def test_list_takes_three_statements(staff, rows, count_statements):
    browser = staff(Role.VIEWER)
    for _ in range(rows):
        device = make_device()
        make_job(device=device, site=device.site, created_by=make_user())
    # 1. session, 2. account, 3. jobs joined with what they show
    with count_statements(3):
        page = browser.get(LIST)
    assert len(page.context["cl"].result_list) == rows


def test_list_filters_and_searches(staff):
    wanted = make_job(status=JobStatus.FAILED, priority=JobPriority.HIGH, description="Easter")
    make_job()
    browser = staff(Role.VIEWER)
    for parameters in (
        {"status__exact": "failed"},
        {"priority__exact": "30"},
        {"site__id__exact": wanted.site.pk},
        {"q": wanted.job_id},
        {"q": "easter"},
    ):
        assert list(browser.get(LIST, parameters).context["cl"].result_list) == [wanted]


def test_jobs_are_read_only(staff):
    job = make_job(total=5, open=3, completed=2)
    browser = staff(Role.ADMIN)
    page = browser.get(f"{LIST}{job.pk}/change/")
    assert "2 of 5" in page.content.decode()
    assert "3 open, 2 completed" in page.content.decode()
    assert browser.post(f"{LIST}{job.pk}/change/", {"status": "failed"}).status_code == 403
    assert browser.get(f"{LIST}add/").status_code == 403
    assert browser.post(f"{LIST}{job.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Job.objects.get().status == JobStatus.PENDING


def test_what_people_and_devices_write_is_shown_as_text(staff):
    job = make_job(
        description=SCRIPT,
        segment=SCRIPT,
        payload={SCRIPT: SCRIPT},
        target={SCRIPT: SCRIPT},
        result={SCRIPT: SCRIPT},
        error_message=SCRIPT,
        config_url=f"https://example.com/{SCRIPT}",
    )
    browser = staff(Role.VIEWER)
    for path in (LIST, f"{LIST}{job.pk}/change/"):
        assert SCRIPT not in browser.get(path).content.decode()
