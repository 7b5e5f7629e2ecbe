"""Jobs through the REST API: who can be told what, and what can be read of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership
from accounts.tests.factories import make_api_key, make_user
from audit.models import AuditLog
from devices.enums import DeviceType, LifecycleState
from devices.tests.factories import make_device
from homepot.postgresql.quick import Quick
from jobs import services
from jobs.enums import ORDERED_ACTIONS, ExecutionStatus, JobAction, JobPriority, JobStatus
from jobs.models import Job, JobExecution
from jobs.targets import Target
from jobs.tests.factories import execution_of, make_job, offer, order_job
from jobs.words import DEVICES_TEXT, devices_text
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

JOBS = "/api/v1/jobs/jobs"


def targets_of(job_id: str) -> list[str]:
    executions = JobExecution.objects.filter(job__job_id=job_id).order_by("device__device_id")
    return list(executions.values_list("device__device_id", flat=True))


def scoped_operator(*sites: Any) -> APIClient:
    user = make_user(role=Role.OPERATOR)
    user.site_access = SiteAccess.SELECTED
    user.save(update_fields=["site_access"])
    for site in sites:
        SiteMembership.objects.create(user=user, site=site)
    api = APIClient()
    api.credentials(HTTP_X_API_KEY=make_api_key(user))
    return api


@pytest.fixture
def shop() -> Any:
    """A site with two tills, a kiosk, and devices that take no work."""
    site = make_site(site_id="shop", timezone="Europe/Berlin")
    make_device(site=site, device_id="till-1")
    make_device(site=site, device_id="till-2")
    make_device(site=site, device_id="kiosk-1", device_type=DeviceType.KIOSK)
    make_device(site=site, device_id="new", lifecycle_state=LifecycleState.PENDING)
    make_device(site=site, device_id="off", lifecycle_state=LifecycleState.SUSPENDED)
    make_device(site=site, device_id="gone", lifecycle_state=LifecycleState.RETIRED)
    return site


def test_job_for_a_segment_of_a_site(operator, shop):
    make_device(device_id="elsewhere")
    sent = {
        "action": "update_config",
        "segment": "pos-terminals",
        "description": "New prices",
        "priority": "high",
        "payload": {"file": "prices.json"},
        "config_url": "https://example.com/prices.json",
        "config_version": "42",
    }

    answer = operator.post("/api/v1/jobs/sites/shop/jobs", sent)

    assert answer.status_code == 201, answer.content
    body = answer.json()
    user = Job.objects.get().created_by
    assert body == sent | {
        "job_id": body["job_id"],
        "site_id": "shop",
        "device_id": None,
        "target": {"site_id": "shop", "segment": "pos-terminals"},
        "status": "queued",
        "ttl_seconds": 86_400,
        "timeout_seconds": 3600,
        "max_attempts": 5,
        "collapse_key": "",
        "scheduled_at": None,
        "released_at": body["released_at"],
        "started_at": None,
        "completed_at": None,
        "cancel_requested_at": None,
        "total": 2,
        "open": 2,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
        "expired": 0,
        "superseded": 0,
        "result": None,
        "error_message": "",
        "created_by": user.username,
        "retry_of": None,
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
    }
    assert targets_of(body["job_id"]) == ["till-1", "till-2"]
    assert operator.get(f"{JOBS}/{body['job_id']}").json() == body
    # A list leaves out what may be long.
    short = {name: body[name] for name in body if name not in ("payload", "target", "result")}
    assert operator.get("/api/v1/jobs/sites/shop/jobs").json()["jobs"] == [short]


@pytest.mark.parametrize(
    ("path", "chosen", "expected"),
    [
        ("sites/shop/jobs", {}, ["kiosk-1", "till-1", "till-2"]),
        ("sites/shop/jobs", {"segment": "all"}, ["kiosk-1", "till-1", "till-2"]),
        ("sites/shop/jobs", {"segment": "kiosks"}, ["kiosk-1"]),
        ("sites/shop/jobs", {"device_id": "till-2"}, ["till-2"]),
        ("sites/shop/jobs", {"device_ids": ["till-2", "till-1"]}, ["till-1", "till-2"]),
        ("jobs", {"site_id": "shop", "segment": "kiosks"}, ["kiosk-1"]),
        ("jobs", {"device_id": "elsewhere"}, ["elsewhere"]),
        ("jobs", {"device_ids": ["till-1", "elsewhere"]}, ["elsewhere", "till-1"]),
        ("jobs", {"segment": "pos-terminals"}, ["elsewhere", "till-1", "till-2"]),
        ("jobs", {"filter": {"device_type": "kiosk"}}, ["kiosk-1"]),
        ("jobs", {"filter": {"site_ids": ["shop"], "search": "till"}}, ["till-1", "till-2"]),
        ("jobs", {"filter": {"status": "unknown", "site_id": "shop"}}, None),
    ],
)
def test_devices_are_chosen(operator, shop, path, chosen, expected):
    make_device(device_id="elsewhere")
    answer = operator.post(f"/api/v1/jobs/{path}", {"action": "ping", **chosen})
    assert answer.status_code == 201, answer.content
    everybody = ["kiosk-1", "till-1", "till-2"]
    assert targets_of(answer.json()["job_id"]) == (expected or everybody)


@pytest.mark.parametrize(
    ("path", "sent", "field"),
    [
        ("sites/shop/jobs", {"device_id": "elsewhere"}, "device_id"),
        ("sites/shop/jobs", {"device_ids": ["till-1", "elsewhere"]}, "device_ids"),
        ("sites/shop/jobs", {"segment": "tills"}, "segment"),
        ("sites/shop/jobs", {"segmnt": "kiosks"}, "segmnt"),
        ("sites/shop/jobs", {"site_id": "elsewhere"}, "site_id"),
        ("jobs", {"segment": "all", "site": "shop"}, "site"),
        ("jobs", {"filter": {"search": " "}}, "filter"),
        ("jobs", {}, "device_ids"),
        ("jobs", {"device_ids": []}, "device_ids"),
        ("jobs", {"device_id": "till-1", "segment": "all"}, "segment"),
        ("jobs", {"site_id": "nowhere"}, "site_id"),
        ("jobs", {"filter": {}}, "filter"),
        ("jobs", {"filter": {"colour": "red"}}, "filter"),
        ("jobs", {"filter": {"device_type": "toaster"}}, "filter"),
        ("jobs", {"filter": {"site_ids": "shop"}}, "filter"),
        ("jobs", {"segment": "all", "action": "device_task"}, "action"),
        ("jobs", {"segment": "all", "action": "rm -rf"}, "action"),
        ("jobs", {"segment": "all", "priority": "urgent"}, "priority"),
        ("jobs", {"segment": "all", "priority": 20}, "priority"),
        ("jobs", {"segment": "all", "ttl_seconds": 0}, "ttl_seconds"),
        ("jobs", {"segment": "all", "max_attempts": 101}, "max_attempts"),
        ("jobs", {"segment": "all", "payload": []}, "payload"),
        ("jobs", {"segment": "all", "payload": {"x": "y" * 65_536}}, "payload"),
        ("jobs", {"segment": "all", "config_url": "ftp://example.com/x"}, "config_url"),
        ("jobs", {"segment": "all", "action": "update_config"}, "config_version"),
        ("jobs", {"segment": "all", "config_url": "javascript:alert(1)"}, "config_url"),
        ("jobs", {"segment": "all", "scheduled_at": "2026-01-01T00:00:00"}, "scheduled_at"),
        ("jobs", {"segment": "all", "scheduled_local": "2026-01-01T00:00"}, "scheduled_local"),
        (
            "sites/shop/jobs",
            {"scheduled_local": "2026-01-01T00:00:00Z"},
            "scheduled_local",
        ),
    ],
)
def test_bad_jobs_are_refused_by_field(operator, shop, path, sent, field):
    make_device(device_id="elsewhere")
    answer = operator.post(f"/api/v1/jobs/{path}", {"action": "ping", **sent})
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["errors"]) == [field]
    assert not Job.objects.exists()


def test_word_that_is_none_is_answered_with_those_there_are(operator, shop):
    actions = ", ".join(value for value, _ in ORDERED_ACTIONS)
    body = operator.post("/api/v1/jobs/jobs", {"action": "reboot", "segment": "all"}).json()
    assert body["errors"] == {"action": [f'"reboot" is none of {actions}.']}
    body = operator.get("/api/v1/jobs/jobs", {"status": "100%"}).json()
    statuses = ", ".join(JobStatus.values)
    assert body["errors"] == {"status": [f'"100%" is none of {statuses}.']}


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("sites/empty/jobs", {}),
        ("sites/shop/jobs", {"segment": "printers"}),
        ("sites/shop/jobs", {"device_id": "off"}),
        ("jobs", {"device_ids": ["till-1", "new"]}),
    ],
)
def test_job_without_an_active_device_is_refused(operator, shop, path, sent):
    make_site(site_id="empty")
    answer = operator.post(f"/api/v1/jobs/{path}", {"action": "ping", **sent})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_target")
    assert not Job.objects.exists()
    assert not AuditLog.objects.exists()


def test_job_waits_for_its_time_on_the_sites_clock(operator, shop):
    tomorrow = (timezone.now() + timedelta(days=1)).date()
    sent = {"action": "ping", "scheduled_local": f"{tomorrow}T03:00", "device_id": "till-1"}

    body = operator.post("/api/v1/jobs/sites/shop/jobs", sent).json()

    scheduled_at = datetime.fromisoformat(body["scheduled_at"])
    assert scheduled_at.astimezone(UTC).hour in (1, 2)  # Berlin, summer or winter
    assert (body["status"], body["released_at"], body["open"]) == ("pending", None, 1)
    job = Job.objects.get()
    device = execution_of(job).device
    assert offer(device, scheduled_at - timedelta(seconds=1)) == []
    # No sweep has been here: the fetch itself releases it.
    assert offer(device, scheduled_at) == [str(execution_of(job).execution_id)]
    job.refresh_from_db()
    assert (job.status, job.released_at) == ("sent", scheduled_at)
    assert execution_of(job).expires_at == scheduled_at + timedelta(seconds=86_400)


def test_scoped_operator_reaches_own_sites_only(shop):
    foreign = make_device(device_id="elsewhere")
    api = scoped_operator(shop)
    assert api.post(JOBS, {"action": "ping", "device_id": "elsewhere"}).status_code == 400
    assert (
        api.post(f"/api/v1/jobs/sites/{foreign.site.site_id}/jobs", {"action": "ping"}).status_code
        == 404
    )

    own = api.post(JOBS, {"action": "ping", "segment": "all"}).json()

    assert targets_of(own["job_id"]) == ["kiosk-1", "till-1", "till-2"]
    mixed = services.create_job(
        target=Target(segment="all"), actor=None, action=JobAction.PING, priority=20
    )
    hidden = order_job(foreign)
    listed = [job["job_id"] for job in api.get(JOBS).json()["jobs"]]
    assert listed == [mixed.job_id, own["job_id"]]
    executions = api.get(f"{JOBS}/{mixed.job_id}/executions").json()["executions"]
    assert {row["device_id"] for row in executions} == {"kiosk-1", "till-1", "till-2"}
    assert api.get(f"{JOBS}/{hidden.job_id}").status_code == 404
    assert api.post(f"{JOBS}/{hidden.job_id}/cancel").status_code == 404
    refused = api.post(f"{JOBS}/{mixed.job_id}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (403, "out_of_scope")


def test_missing_permission_fails_at_once_and_is_counted(operator, shop):
    till, other = shop.devices.get(device_id="till-1"), shop.devices.get(device_id="till-2")
    till.permissions = {"command_execution": False}
    till.save()
    other.permissions = {"command_execution": True}
    other.save()

    body = operator.post("/api/v1/jobs/sites/shop/jobs", {"action": "restart"}).json()

    assert (body["total"], body["open"], body["failed"]) == (3, 2, 1)
    execution = JobExecution.objects.get(device=till)
    assert (execution.status, execution.error_code) == ("failed", "permission_missing")
    # The third never told of permissions.
    sole = operator.post(JOBS, {"action": "restart", "device_id": "till-1"}).json()
    assert (sole["status"], sole["result"]["failures"]) == ("failed", {"permission_missing": 1})


def test_newer_job_supersedes_what_is_still_queued(operator, shop):
    sent = {"action": "ping", "collapse_key": "prices"}
    first = operator.post("/api/v1/jobs/sites/shop/jobs", sent).json()["job_id"]
    kiosk = shop.devices.get(device_id="kiosk-1")
    offer(kiosk, timezone.now())

    second = operator.post("/api/v1/jobs/sites/shop/jobs", sent).json()["job_id"]

    old, new = operator.get(f"{JOBS}/{first}").json(), operator.get(f"{JOBS}/{second}").json()
    assert (old["superseded"], old["open"], old["status"]) == (2, 1, "sent")
    assert new["open"] == 3
    row = AuditLog.objects.get(event_type="job_superseded")
    assert row.event_metadata == {"superseded_by": second, "devices": 2}
    command_id = execution_of(Job.objects.get(job_id=first), kiosk).execution_id
    services.report_outcome(
        device=kiosk,
        command_id=command_id,
        report=services.CommandReport(status=ExecutionStatus.COMPLETED),
    )
    assert operator.get(f"{JOBS}/{first}").json()["status"] == "completed"


def test_wholly_superseded_job_counts_as_cancelled(operator, shop):
    sent = {"action": "ping", "collapse_key": "prices", "device_id": "till-1"}
    first = operator.post(JOBS, sent).json()["job_id"]
    operator.post(JOBS, sent)
    job = operator.get(f"{JOBS}/{first}").json()
    assert (job["status"], job["error_message"]) == ("cancelled", "Of 1 device: 1 superseded.")


def test_retry_has_its_executions_in_the_order_of_devices(shop):
    first, second = shop.devices.filter(device_id__startswith="till").order_by("pk")
    job = order_job(first, second)
    offer(first, timezone.now())
    services.report_outcome(
        device=first,
        command_id=execution_of(job, first).execution_id,
        report=services.CommandReport(status=ExecutionStatus.FAILED),
    )
    job.executions.filter(device=second).update(due_at=timezone.now())

    again = services.retry_job(job=job, actor=None)

    # Indexes of executions have expired ones before failed ones.
    assert list(again.executions.order_by("pk").values_list("device", flat=True)) == [
        first.pk,
        second.pk,
    ]


def test_cancel_and_retry(operator, shop):
    tills = list(shop.devices.filter(device_id__startswith="till").order_by("device_id"))
    job = order_job(*tills, description="Prices")
    again = f"{JOBS}/{job.job_id}/retry"
    early = operator.post(again)
    assert (early.status_code, early.json()["code"]) == (409, "job_not_ended")
    for till, word in zip(tills, ("failed", "completed"), strict=True):
        offer(till, timezone.now())
        services.report_outcome(
            device=till,
            command_id=execution_of(job, till).execution_id,
            report=services.CommandReport(status=ExecutionStatus(word), error_code="no_paper"),
        )
    late = operator.post(f"{JOBS}/{job.job_id}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "job_ended")

    answer = operator.post(again)

    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["retry_of"], body["description"], body["total"]) == (job.job_id, "Prices", 1)
    assert targets_of(body["job_id"]) == ["till-1"]
    cancelled = operator.post(f"{JOBS}/{body['job_id']}/cancel").json()
    assert (cancelled["status"], cancelled["cancelled"]) == ("cancelled", 1)
    nothing = operator.post(f"{JOBS}/{body['job_id']}/retry")
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_retry")
    failures = operator.get(f"{JOBS}/{job.job_id}/executions?error_code=no_paper&status=failed")
    assert [row["device_id"] for row in failures.json()["executions"]] == ["till-1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["c", "b", "a"]),
        ("status=completed", ["a"]),
        ("action=restart", ["b"]),
        ("priority=critical", ["c"]),
        ("created_by=carla", ["b"]),
        ("since=2026-02-01T00:00:00Z", ["c"]),
        ("until=2026-02-01T00:00:00Z", ["b", "a"]),
    ],
)
def test_jobs_are_filtered(viewer, query, expected):
    carla = make_user(username="carla")
    january = datetime(2026, 1, 1, tzinfo=UTC)
    make_job(job_id="a", status="completed", created_at=january)
    make_job(job_id="b", action=JobAction.RESTART, created_by=carla, created_at=january)
    make_job(job_id="c", priority=40)
    assert [job["job_id"] for job in viewer.get(f"{JOBS}?{query}").json()["jobs"]] == expected


def test_executions_of_a_device_are_as_time_has_made_them(viewer):
    device = make_device()
    job = order_job(device, ttl_seconds=1)
    path = f"/api/v1/devices/devices/{device.device_id}/executions"
    JobExecution.objects.update(
        queued_at=timezone.now() - timedelta(seconds=2), due_at=timezone.now()
    )
    JobExecution.objects.update(expires_at=JobExecution.objects.get().due_at)
    (row,) = viewer.get(path).json()["executions"]
    assert (row["job_id"], row["action"], row["status"]) == (job.job_id, "ping", "expired")
    assert viewer.get(f"{path}?status=queued").json()["executions"] == []
    assert viewer.get("/api/v1/devices/devices/none/executions").status_code == 404


def test_open_work_in_numbers(viewer, shop):
    tills = list(shop.devices.filter(device_id__startswith="till"))
    order_job(*tills)
    order_job(tills[0])
    other = make_device()
    job = order_job(other)
    offer(tills[0], timezone.now())
    offer(other, timezone.now())
    services.acknowledge(device=other, command_id=execution_of(job).execution_id)

    at_shop = {"site_id": "shop", "open": 3, "queued": 1, "sent": 2, "acknowledged": 0}
    at_shop |= {"devices": 2, "jobs": 2}
    assert viewer.get("/api/v1/jobs/sites/shop/work").json() == at_shop
    fleet = viewer.get("/api/v1/jobs/work").json()
    at_other = {"site_id": other.site.site_id, "open": 1, "queued": 0, "sent": 0}
    at_other |= {"acknowledged": 1, "devices": 1, "jobs": 1}
    assert fleet.pop("sites") == [at_shop, at_other]
    counts = {"open": 4, "queued": 1, "sent": 2, "acknowledged": 1, "devices": 3, "jobs": 3}
    assert fleet == counts | {"failed_last_24_hours": 0}


@pytest.mark.parametrize("rows", [1, 3])
def test_statements_do_not_grow_with_the_rows(viewer, rows, count_statements):
    device = make_device()
    jobs = [order_job(device) for _ in range(rows)]
    # 1. the caller's key, 2. the rows joined with what they show of other tables
    for path, name in (
        (JOBS, "jobs"),
        (f"{JOBS}/{jobs[0].job_id}", None),
        (f"/api/v1/jobs/sites/{device.site.site_id}/jobs", "jobs"),
        (f"/api/v1/devices/devices/{device.device_id}/executions", "executions"),
    ):
        with count_statements(2):
            body = viewer.get(path).json()
        assert name is None or len(body[name]) == rows
    with count_statements(3):
        viewer.get(f"/api/v1/jobs/sites/{device.site.site_id}/work")
    with count_statements(4):
        viewer.get("/api/v1/jobs/work")


@pytest.mark.parametrize("devices", [1, 4])
def test_making_a_job_costs_the_same_for_any_number_of_devices(operator, devices, count_statements):
    site = make_site()
    for _ in range(devices):
        make_device(site=site)
    # 1. the key, 2. the site, 3. the job with its executions and audit row, which SQLite counts
    # first and takes one by one; and then reads the answer
    with count_statements(3 if connection.vendor == "postgresql" else 7):
        answer = operator.post(f"/api/v1/jobs/sites/{site.site_id}/jobs", {"action": "ping"})
    assert answer.json()["total"] == devices


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"payload": {"long name": 1, "b": [1e-7, {"z": None, "aa": "é\u2028"}], "a": 1e17}},
        {"device_id": "till-1", "priority": "high", "description": 'é"\\', "ttl_seconds": 60},
        {"segment": "pos-terminals", "scheduled_local": "2199-01-01T08:00"},
        {"collapse_key": "prices"},
        {"action": "update_config", "config_version": "9"},
    ],
)
def test_new_job_is_shown_as_it_is_read_later(operator, more):
    device = make_device(device_id="till-1")
    make_device(site=device.site)
    path = f"/api/v1/jobs/sites/{device.site.site_id}/jobs"
    headers = {"Idempotency-Key": "once"}

    answer = operator.post(path, {"action": "ping", **more}, headers=headers)

    assert answer.status_code == 201, answer.content
    read = operator.get(f"{JOBS}/{answer.json()['job_id']}")
    assert answer.content == read.content
    again = operator.post(path, {"action": "ping", **more}, headers=headers)
    assert again.json() == read.json()


def test_new_job_is_told_of_in_the_same_words_by_both_engines(operator):
    site = make_site(name="Shop 12")
    for count in (1, 2):
        make_device(site=site)
        answer = operator.post(f"/api/v1/jobs/sites/{site.site_id}/jobs", {"action": "ping"})
        row = AuditLog.objects.get(job__job_id=answer.json()["job_id"])
        assert row.description == f"Ping for site Shop 12, {devices_text(count)}"
        target = {"site_id": site.site_id}
        assert row.event_metadata == {"target": target, "total_devices": count}
        assert (row.site, row.target_label) == (site, answer.json()["job_id"])


@pytest.mark.parametrize("count", [1, 2, 999, 1_000, 40_000, 1_234_567])
def test_numbers_of_devices_are_worded_alike_in_sql(count):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has Python's")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {DEVICES_TEXT} FROM (VALUES (%s)) AS made (total)", [count])
        assert cursor.fetchone() == (devices_text(count),)


@pytest.mark.parametrize(
    "target",
    [lambda shop: {"site": shop}, lambda shop: {"filter": {"site_ids": ["shop"]}}],
    ids=["site", "filter"],
)
@pytest.mark.parametrize(("action", "failed"), [(JobAction.PING, 0), (JobAction.RESTART, 1)])
def test_a_web_process_writes_a_job_by_the_short_way(shop, monkeypatch, target, action, failed):
    """Where PostgreSQL is not told the types of values."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no short way")
    shop.devices.filter(device_id="till-1").update(permissions={"command_execution": False})
    monkeypatch.setattr("homepot.combined.fetch_rows", Quick(connection.connection).fetch_rows)
    job = services.create_job(
        target=Target(**target(shop)), action=action, priority=JobPriority.NORMAL, actor=None
    )
    assert (job.total, job.failed) == (3, failed)
