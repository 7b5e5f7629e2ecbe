from __future__ import annotations

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.messages import get_messages
from django.utils import timezone

from accounts.enums import Role
from accounts.tests.factories import make_user
from audit.models import AuditLog
from devices.enums import LifecycleState
from devices.services import retire_device
from devices.tests.factories import make_device
from homepot.admin import commands
from jobs import services
from jobs.admin.forms import NOT_USED
from jobs.configuration import NOT_SAID
from jobs.enums import ExecutionStatus, JobPriority, JobStatus
from jobs.models import Job, JobExecution
from jobs.tests.factories import execution_of, make_job, offer, order_job

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


def test_jobs_are_not_changed(staff):
    job = make_job(total=5, open=3, completed=2)
    browser = staff(Role.ADMIN)
    page = browser.get(f"{LIST}{job.pk}/change/")
    assert "2 of 5 ended" in page.content.decode()
    assert "2 completed, 3 open" in page.content.decode()
    assert browser.post(f"{LIST}{job.pk}/change/", {"status": "failed"}).status_code == 403
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


FORM = {
    "action": "restart",
    "priority": "30",
    "ttl_seconds": "3600",
    "timeout_seconds": "600",
    "description": "After the power cut",
}


def hidden_of(page) -> dict[str, str]:
    """What the form of a preview sends back."""
    return {name: str(value) for name, value in page.context["hidden"]}


def all_hidden_of(page) -> dict[str, list[str]]:
    """The same, where a field may have several values."""
    sent: dict[str, list[str]] = {}
    for name, value in page.context["hidden"]:
        sent.setdefault(name, []).append(str(value))
    return sent


def test_job_is_created_once_its_preview_was_seen(staff):
    device = make_device(permissions={"command_execution": False}, name=SCRIPT)
    other = make_device(site=device.site)
    make_device(site=device.site, lifecycle_state=LifecycleState.PENDING)
    browser = staff(Role.OPERATOR)
    form = browser.get(f"{LIST}add/?site={device.site.pk}")
    assert "New job for" in form.content.decode()
    sent = FORM | {"segment": "pos-terminals", "site": device.site.pk}

    preview = browser.post(f"{LIST}add/", sent | {"step": "preview"})

    text = preview.content.decode()
    assert "2 devices at 1 site" in text
    assert "1 of them has not granted" in text
    assert other.device_id in text
    assert SCRIPT not in text
    assert not Job.objects.exists()

    answer = browser.post(f"{LIST}add/", hidden_of(preview) | {"step": "create"})

    job = Job.objects.get()
    assert answer["Location"] == f"{LIST}{job.pk}/change/"
    assert (job.action, job.priority, job.ttl_seconds, job.description) == (
        "restart",
        JobPriority.HIGH,
        3600,
        "After the power cut",
    )
    assert (job.site, job.segment, job.total, job.failed) == (device.site, "pos-terminals", 2, 1)
    assert job.created_by is not None
    row = AuditLog.objects.get(event_type="job_created")
    assert row.actor_label == job.created_by.username


def test_preview_that_is_sent_twice_creates_one_job(staff):
    device = make_device()
    browser = staff(Role.OPERATOR)
    sent = FORM | {"device": device.pk}
    preview = browser.post(f"{LIST}add/", sent | {"step": "preview"})
    confirmed = hidden_of(preview) | {"step": "create"}
    first = browser.post(f"{LIST}add/", confirmed)
    # Even though the device takes no more work, and has no page where it could be chosen.
    retire_device(device=device, actor=None)

    again = browser.post(f"{LIST}add/", confirmed, follow=True)

    job = Job.objects.get()
    assert first["Location"] == f"{LIST}{job.pk}/change/" == again.redirect_chain[0][0]
    assert "Created already" in again.content.decode()
    assert AuditLog.objects.filter(event_type="job_created").count() == 1
    # A form of which no page was shown, and the same one with other fields, create nothing.
    browser.post(f"{LIST}add/", confirmed | {"once": ""})
    browser.post(f"{LIST}add/", confirmed | {"description": "Another"})
    assert Job.objects.count() == 1


def test_form_without_a_place_asks_for_it(staff):
    device, other = make_device(), make_device()
    browser = staff(Role.OPERATOR)
    page = browser.get(f"{LIST}add/")
    assert {"site", "segment", "devices"} <= set(page.context["form"].fields)
    for chosen, total in (
        ({"site": device.site.pk, "segment": "all"}, 1),
        ({"segment": "all", "devices": [device.pk, other.pk]}, 2),
        ({"segment": "all"}, 2),
    ):
        sent = FORM | hidden_of(page) | chosen
        preview = browser.post(f"{LIST}add/", sent | {"step": "preview"})
        assert preview.context["preview"].total == total
        # Back to the form, in which the choice still stands.
        fields = dict.fromkeys(("site", "devices"), None) | chosen
        change = browser.post(f"{LIST}add/", all_hidden_of(preview) | {"step": "change"})
        form = change.context["form"]
        assert [form[name].value() or None for name in ("site", "devices")] == [
            str(fields["site"]) if fields["site"] else None,
            [str(pk) for pk in fields["devices"]] if fields["devices"] else None,
        ]
        browser.post(f"{LIST}add/", all_hidden_of(preview) | {"step": "create"})
        assert Job.objects.latest("pk").total == total
    both = FORM | hidden_of(page) | {"segment": "all", "site": device.site.pk}
    refused = browser.post(f"{LIST}add/", both | {"devices": [other.pk], "step": "preview"})
    assert "not both" in refused.content.decode()


@pytest.mark.parametrize("action", ["update_config", "update_pos_payment_config"])
def test_update_of_nothing_is_refused(staff, action):
    device = make_device()
    sent = FORM | {"device": device.pk, "action": action, "step": "preview"}
    page = staff(Role.OPERATOR).post(f"{LIST}add/", sent)
    assert page.context["form"].errors == {"config_version": [NOT_SAID]}
    assert NOT_SAID in page.content.decode()
    for said in ({"config_version": "7"}, {"config_url": "https://e.example/7"}):
        page = staff(Role.OPERATOR).post(f"{LIST}add/", sent | said)
        assert page.context["preview"].total == 1


def test_configuration_is_refused_for_other_actions_and_shown_with_the_error(staff):
    device = make_device()
    sent = FORM | {"device": device.pk, "config_version": "7", "step": "preview"}
    page = staff(Role.OPERATOR).post(f"{LIST}add/", sent)
    assert page.context["form"].errors == {"config_version": [NOT_USED]}
    # Of the two, the stylesheet hides the one without an error alone.
    assert page.content.decode().count("homepot-for-configuration") == 1


def test_other_devices_than_previewed_are_previewed_again(staff):
    device = make_device()
    browser = staff(Role.OPERATOR)
    sent = FORM | {"segment": "all", "site": device.site.pk}
    preview = browser.post(f"{LIST}add/", sent | {"step": "preview"})
    make_device(site=device.site)

    again = browser.post(f"{LIST}add/", hidden_of(preview) | {"step": "create"})

    assert "Devices came or went meanwhile" in again.content.decode()
    assert not Job.objects.exists()
    browser.post(f"{LIST}add/", hidden_of(again) | {"step": "create"})
    assert Job.objects.get().total == 2


def test_job_for_devices_chosen_in_their_list(staff):
    chosen = [make_device(), make_device()]
    make_device()
    browser = staff(Role.OPERATOR)
    selected = {"action": "order_for_selected", "_selected_action": [d.pk for d in chosen]}
    form = browser.post("/admin/devices/device/", selected)
    assert "New job for 2 chosen devices" in form.content.decode()

    preview = browser.post(f"{LIST}add/", FORM | hidden_of(form) | {"step": "preview"})
    browser.post(f"{LIST}add/", hidden_of(preview) | {"step": "create"})

    job = Job.objects.get()
    assert job.target == {"chosen": 2}
    assert set(job.executions.values_list("device", flat=True)) == {d.pk for d in chosen}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"scheduled": "2020-01-01T03:00"}, "Choose a time ahead"),
        ({"scheduled": "tomorrow"}, "Write a time as"),
        ({"config_url": "ftp://example.com/x"}, "http"),
        ({"payload": "[1]"}, "Write a JSON object"),
        ({"action": "device_task"}, "Select a valid choice"),
        ({"segment": "printers"}, "There is no active device"),
    ],
)
def test_form_says_what_is_wrong(staff, changed, told):
    site = make_device().site
    sent = FORM | {"segment": "all", "site": site.pk, "step": "preview"} | changed
    page = staff(Role.OPERATOR).post(f"{LIST}add/", sent)
    assert told in page.content.decode()
    assert not Job.objects.exists()


def test_site_page_shows_jobs_of_several_sites_that_are_for_it_too(staff):
    device, other, third = make_device(), make_device(), make_device()
    shared = order_job(device, other, description="Both shops")
    order_job(third, other, description="Elsewhere")
    own = order_job(device, description="Alone")
    page = staff(Role.VIEWER).get(f"/admin/sites/site/{device.site.pk}/change/").content.decode()
    assert page.index(f"{LIST}{own.pk}/") < page.index(f"{LIST}{shared.pk}/")
    assert page.count("this one among them") == 1
    assert "Elsewhere" not in page


def test_scheduled_by_the_clocks_of_the_site(staff):
    device = make_device()
    device.site.timezone = "Europe/Berlin"
    device.site.save()
    browser = staff(Role.OPERATOR)
    sent = FORM | {"device": device.pk, "scheduled": "2199-07-01T03:00"}
    preview = browser.post(f"{LIST}add/", sent | {"step": "preview"})
    browser.post(f"{LIST}add/", hidden_of(preview) | {"step": "create"})
    job = Job.objects.get()
    assert job.scheduled_at.isoformat() == "2199-07-01T01:00:00+00:00"
    assert (job.status, job.device) == ("pending", device)


def test_scoped_and_viewing_staff_are_refused(staff):
    device = make_device()
    browser = staff(Role.VIEWER)
    assert browser.get(f"{LIST}add/?device={device.pk}").status_code == 403
    assert browser.post(f"{LIST}add/", FORM | {"device": device.pk}).status_code == 403
    job = order_job(device)
    assert browser.post(f"{LIST}{job.pk}/cancel/", {"confirmed": "1"}).status_code == 403


def test_cancel_retry_and_repeat(staff):
    device, other = make_device(), make_device()
    job = order_job(device, other, description="Prices")
    browser = staff(Role.OPERATOR)
    offer(device, timezone.now())
    services.report_outcome(
        device=device,
        command_id=execution_of(job, device).execution_id,
        report=services.CommandReport(status=ExecutionStatus.FAILED, error_code="no_paper"),
    )
    page = browser.get(f"{LIST}{job.pk}/change/").content.decode()
    assert "no_paper" in page
    assert 'data-homepot-live="?"' in page

    browser.post(f"{LIST}{job.pk}/cancel/", {"confirmed": "1"})
    assert "data-homepot-live" not in browser.get(f"{LIST}{job.pk}/change/").content.decode()

    job.refresh_from_db()
    assert (job.status, job.cancelled, job.failed) == ("cancelled", 1, 1)
    question = browser.get(f"{LIST}{job.pk}/retry/")
    for _ in range(2):  # as a double click sends it
        answer = browser.post(f"{LIST}{job.pk}/retry/", {"confirmed": "1", **hidden_of(question)})
    retried = Job.objects.get(retry_of=job)
    assert answer["Location"] == f"{LIST}{retried.pk}/change/"
    assert [execution.device for execution in retried.executions.all()] == [device]
    events = AuditLog.objects.filter(actor_kind="user").values_list("event_type", flat=True)
    assert set(events) == {"job_cancelled", "job_retried"}
    form = browser.get(f"{LIST}{job.pk}/again/")
    assert form.context["form"]["description"].value() == "Prices"
    assert hidden_of(form)["chosen"]


def test_refusals_are_told_of_up_to_a_number_over_all_requests(staff, monkeypatch):
    monkeypatch.setattr(commands, "SECONDS_AT_ONCE", 0)
    monkeypatch.setattr(commands, "STEP_ROWS", 3)
    monkeypatch.setattr(commands, "REFUSALS_TOLD", 2)
    *ended, waiting = [order_job(make_device()) for _ in range(5)]
    for job in ended:
        services.cancel_job(job=job, actor=None)
    browser = staff(Role.OPERATOR)
    sent = {
        "action": "cancel_selected",
        ACTION_CHECKBOX_NAME: [job.pk for job in (*ended, waiting)],
    }
    sent = {"confirmed": "1", **hidden_of(browser.post(LIST, sent))}
    seen = []
    while (page := browser.post(LIST, sent)).status_code == 200:
        seen.append(page.context["seen"])
        sent = hidden_of(page)

    # The time is looked at after each.
    assert seen == [1, 2, 3, 4]
    waiting.refresh_from_db()
    assert waiting.status == JobStatus.CANCELLED
    told = [str(message) for message in get_messages(page.wsgi_request)]
    assert all(job.job_id in line for job, line in zip(ended[:2], told[:2], strict=True)), told
    assert told[2:] == ["Cancelled: 1 job.", "Refused as well: 2 jobs."]


def test_job_and_its_executions_in_few_statements(staff, count_statements):
    devices = [make_device() for _ in range(3)]
    job = order_job(*devices)
    browser = staff(Role.VIEWER)
    # 1. session, 2. account, 3. the rows joined with what they show
    with count_statements(3):
        page = browser.get("/admin/jobs/jobexecution/")
    assert len(page.context["cl"].result_list) == 3
    # ... 4. its executions, 5. its record
    with count_statements(5):
        browser.get(f"{LIST}{job.pk}/change/")
    found = browser.get("/admin/jobs/jobexecution/", {"status": "queued", "job__id__exact": job.pk})
    assert len(found.context["cl"].result_list) == 3
    assert (
        not browser.get("/admin/jobs/jobexecution/", {"status": "failed"}).context["cl"].result_list
    )


def test_what_devices_answer_is_shown_as_text(staff):
    device = make_device(name=SCRIPT)
    order_job(device)
    JobExecution.objects.update(
        result={SCRIPT: SCRIPT}, error_code=SCRIPT, error_message=SCRIPT, attempt=1
    )
    browser = staff(Role.VIEWER)
    execution = JobExecution.objects.get()
    for path in (
        "/admin/jobs/jobexecution/",
        f"/admin/jobs/jobexecution/{execution.pk}/change/",
        f"{LIST}{execution.job.pk}/change/",
        f"/admin/devices/device/{device.pk}/change/",
        f"/admin/sites/site/{device.site.pk}/change/",
    ):
        assert SCRIPT not in browser.get(path).content.decode()
