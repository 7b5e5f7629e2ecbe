from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership, User
from accounts.tests.factories import make_api_key, make_user
from audit import services as audit
from audit.enums import AuditEvent, Outcome, Severity
from audit.filters import AuditLogFilter
from audit.models import AuditLog
from audit.statistics import grouped
from devices.tests.factories import make_device
from jobs.tests.factories import make_job
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

LOGS = "/api/v1/audit/logs"
STATISTICS = "/api/v1/audit/statistics"
AT = datetime(2026, 1, 31, 8, tzinfo=UTC)


def make_row(**fields: Any) -> AuditLog:
    fields = {"event_type": AuditEvent.SITE_UPDATED, "created_at": AT} | fields
    return AuditLog.objects.create(**fields)


def client_of(user: User) -> APIClient:
    api = APIClient()
    api.credentials(HTTP_X_API_KEY=make_api_key(user))
    return api


def scoped_viewer(*sites: Site) -> APIClient:
    user = make_user(site_access=SiteAccess.SELECTED)
    SiteMembership.objects.bulk_create(SiteMembership(user=user, site=site) for site in sites)
    return client_of(user)


@pytest.fixture
def admin(api_as) -> APIClient:
    return api_as(Role.ADMIN)


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["logs"]]


def test_row_tells_who_did_what_where(viewer):
    actor, device = make_user(username="anna", role=Role.OPERATOR), make_device()
    job = make_job(device=device, site=device.site)
    row = audit.record(
        event=AuditEvent.JOB_CREATED,
        actor=actor,
        target=job,
        changes={"description": (None, "Bäckerei 🥐 東")},
        description="by hand",
        metadata={"devices": 1},
    )

    (shown,) = viewer.get(LOGS).json()["logs"]

    assert shown == {
        "id": row.pk,
        "event_type": "job_created",
        "description": "by hand",
        "actor_kind": "user",
        "actor_label": "anna",
        "site_id": device.site.site_id,
        "device_id": device.device_id,
        "job_id": job.job_id,
        "target_type": "job",
        "target_label": job.job_id,
        "old_values": {"description": None},
        "new_values": {"description": "Bäckerei 🥐 東"},
        "event_metadata": {"devices": 1},
        "request_id": "",
        "ip_address": "",
        "user_agent": "",
        "outcome": "success",
        "severity": "info",
        "created_at": row.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_row_outlives_what_it_names(viewer):
    site = make_site(name="Gone")
    audit.record(event=AuditEvent.SITE_CREATED, actor=None, target=site)
    site.delete()

    (shown,) = viewer.get(LOGS).json()["logs"]

    assert (shown["site_id"], shown["target_label"]) == (None, f"Gone ({site.site_id})")


@pytest.mark.parametrize("rows", [1, 3])
def test_list_takes_two_statements(viewer, rows, count_statements):
    for _ in range(rows):
        audit.record(
            event=AuditEvent.JOB_CREATED, actor=None, target=make_job(device=make_device())
        )
    # 1. the caller's key, 2. the rows with their sites, devices and jobs
    with count_statements(2):
        answer = viewer.get(LOGS)
    assert len(answer.json()["logs"]) == rows


def test_list_is_newest_first_in_pages(admin):
    pks = [make_row(created_at=AT + timedelta(minutes=minute // 2)).pk for minute in range(5)]

    first = admin.get(LOGS, {"limit": 3})
    second = admin.get(first.json()["next"])

    assert ids(first) + ids(second) == pks[::-1]
    assert ids(admin.get(second.json()["previous"])) == ids(first)


def test_filters_pick_rows(admin):
    device = make_device()
    job = make_job(device=device)
    other = make_row(created_at=AT - timedelta(hours=1)).pk
    row = make_row(
        event_type=AuditEvent.JOB_FAILED,
        actor_label="anna",
        site=device.site,
        device=device,
        job=job,
        outcome=Outcome.FAILURE,
        severity=Severity.ERROR,
        request_id="order-1234",
    ).pk
    for filters in (
        {"event_type": "job_failed"},
        {"actor": "anna"},
        {"site": device.site.site_id},
        {"device": device.device_id},
        {"job": job.job_id},
        {"outcome": "failure"},
        {"severity": "error"},
        {"request_id": "order-1234"},
        {"since": "2026-01-31T09:00:00+01:00"},
        {"until": "2026-02-01T00:00:00Z", "outcome": "failure"},
    ):
        assert ids(admin.get(LOGS, filters)) == [row], filters
    assert ids(admin.get(LOGS, {"until": "2026-01-31T08:00:00Z"})) == [other]
    for filters in ({"site": "site-none"}, {"device": "none"}, {"job": "none"}, {"actor": "ann"}):
        assert ids(admin.get(LOGS, filters)) == [], filters


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"event_type": "site_exploded"}, "event_type"),
        ({"outcome": "maybe"}, "outcome"),
        ({"since": "2026-01-31T08:00:00"}, "since"),
        ({"user": "1"}, "user"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_odd_filters_are_refused(admin, query, field):
    answer = admin.get(LOGS, query)
    assert (answer.status_code, [*answer.json()["errors"]]) == (400, [field])


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_writes(admin, method):
    assert getattr(admin, method)(LOGS).status_code == 405


def test_scope_decides_which_rows_are_there(viewer, admin):
    mine, theirs = make_device(), make_device()
    own = [
        make_row(site=mine.site).pk,
        make_row(site=mine.site, device=mine).pk,
    ]
    other = make_row(site=theirs.site, device=theirs).pk
    about_nothing_of_the_fleet = make_row(event_type=AuditEvent.USER_SIGNED_IN).pk
    scoped = scoped_viewer(mine.site)

    assert ids(scoped.get(LOGS)) == own[::-1]
    assert ids(scoped.get(LOGS, {"site": theirs.site.site_id})) == []
    assert scoped.get(LOGS, {"count": "true"}).json()["count"] == 2
    period = {"since": "2026-01-31T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    assert scoped.get(STATISTICS, period).json()["total"] == 2
    assert ids(client_of(make_user()).get(LOGS)) == [other, *own[::-1]]
    everything = ids(client_of(make_user(role=Role.ADMIN)).get(LOGS))
    assert everything == [about_nothing_of_the_fleet, other, *own[::-1]]
    assert scoped_viewer().get(LOGS).json()["logs"] == []


def test_statistics_count_four_ways(admin, count_statements):
    make_row(created_at=AT - timedelta(days=1))
    make_row(outcome=Outcome.DENIED, severity=Severity.WARNING)
    make_row(event_type=AuditEvent.SITE_CREATED)
    make_row(created_at=AT + timedelta(days=1))  # too late

    # 1. the caller's key, 2. the groups
    with count_statements(2):
        answer = admin.get(
            STATISTICS, {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00+00:00"}
        )

    assert answer.json() == {
        "since": "2026-01-01T00:00:00Z",
        "until": "2026-02-01T00:00:00Z",
        "total": 3,
        "by_event_type": {"site_updated": 2, "site_created": 1},
        "by_severity": {"info": 2, "warning": 1, "error": 0, "critical": 0},
        "by_outcome": {"success": 2, "denied": 1, "failure": 0},
        "by_day": [{"day": "2026-01-30", "count": 1}, {"day": "2026-01-31", "count": 2}],
    }


def test_statistics_are_of_the_last_thirty_days_unless_told_otherwise(admin):
    now = datetime.now(UTC)
    make_row(created_at=now - timedelta(days=29))
    make_row(created_at=now - timedelta(days=31))
    assert admin.get(STATISTICS).json()["total"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
        ({"until": "tomorrow"}, "until"),
        ({"limit": "1"}, "limit"),
    ],
)
def test_odd_periods_are_refused(admin, query, field):
    answer = admin.get(STATISTICS, query)
    assert (answer.status_code, [*answer.json()["errors"]]) == (400, [field])


def test_event_types_are_told_in_words(viewer):
    answer = viewer.get("/api/v1/audit/event-types").json()
    assert len(answer["event_types"]) == len(AuditEvent)
    assert {"event_type": "api_key_created", "name": "API key created"} in answer["event_types"]


@pytest.fixture
def many_rows() -> tuple[Any, Any]:
    """8,000 rows over 400 days, of 80 sites, devices and jobs; gives one device and its job."""
    devices = [make_device(site=make_site()) for _ in range(80)]
    jobs = [make_job(site=device.site, device=device) for device in devices]
    AuditLog.objects.bulk_create(
        AuditLog(
            event_type=list(AuditEvent)[number % 7],
            actor_label=f"user-{number % 80}",
            request_id=f"order-{number}",
            site=devices[number % 80].site,
            device=devices[number % 80],
            job=jobs[number % 80],
            created_at=AT + timedelta(days=number % 400, seconds=number),
        )
        for number in range(8_000)
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # VACUUM marks as visible to all, so that an index is enough, what is on disk.
            cursor.execute("CHECKPOINT")
            cursor.execute("VACUUM audit_logs")
        cursor.execute("ANALYZE")
    return devices[7], jobs[7]


def indexes_in(plan: str) -> set[str]:
    return set(re.findall(r"\baudit_\w+\b", plan)) - {"audit_logs"}


@pytest.mark.django_db(transaction=True)  # VACUUM takes no part in one
def test_plans_use_the_index_made_for_them(many_rows):
    device, job = many_rows
    admin = make_user(role=Role.ADMIN)
    expected = [
        ({"site": device.site.site_id}, "audit_by_site"),
        ({"device": device.device_id}, "audit_by_device"),
        ({"job": job.job_id}, "audit_by_job"),
        ({"actor": "user-7"}, "audit_by_actor"),
        ({"request_id": "order-1234"}, "audit_by_request"),
        ({}, "audit_newest"),
    ]
    for filters, index in expected:
        rows = AuditLogFilter(filters, AuditLog.objects.visible_to(admin)).qs
        plan = rows.order_by("-created_at", "-pk")[:11].explain()
        assert indexes_in(plan) == {index}, plan
        assert not re.search(r"Seq Scan on audit_logs|SCAN audit_logs(?! USING)", plan), plan
        # The index gives the order too, but for the few rows of one request.
        if "request_id" not in filters:
            assert not re.search("TEMP B-TREE|Sort", plan), plan

    last_days = {"since": AT + timedelta(days=370), "until": AT + timedelta(days=400)}
    plan = grouped(AuditLog.objects.visible_to(admin), **last_days).explain()
    assert indexes_in(plan) == {"audit_statistics"}, plan
