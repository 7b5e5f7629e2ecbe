from __future__ import annotations

import csv
import io
import json
import re
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership
from accounts.tests.factories import make_api_key, make_user
from audit import export, services
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.tests.factories import make_device
from homepot.spreadsheets import writing
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

EXPORT = "/api/v1/audit/export"
LOGS = "/api/v1/audit/logs"
AT = datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.fixture
def admin(api_as) -> APIClient:
    return api_as(Role.ADMIN)


def make_rows(number: int, **fields: Any) -> None:
    fields = {"event_type": AuditEvent.SITE_UPDATED} | fields
    AuditLog.objects.bulk_create(
        (AuditLog(created_at=AT + timedelta(seconds=row // 3), **fields) for row in range(number)),
        batch_size=5_000,
    )


def body_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()


def test_ndjson_holds_what_the_list_shows(admin):
    services.record(
        event=AuditEvent.SITE_CREATED,
        actor=None,
        target=make_site(name="Bäckerei 🥐 東"),
        changes={"name": (None, 'a "quoted"\nline')},
    )
    make_rows(3)

    answer = admin.get(EXPORT, {"format": "ndjson"})

    assert answer["Content-Type"] == "application/x-ndjson"
    assert re.fullmatch(
        r'attachment; filename="audit-log-\d{8}T\d{6}Z\.ndjson"', answer["Content-Disposition"]
    )
    rows = [json.loads(line) for line in body_of(answer).splitlines()]
    listed = admin.get(LOGS).json()["logs"]
    assert listed[0]["event_type"] == "data_exported"
    assert sorted(rows, key=lambda row: row["id"]) == sorted(listed[1:], key=lambda row: row["id"])


def test_csv_holds_what_the_list_shows(admin):
    device = make_device()
    services.record(
        event=AuditEvent.DEVICE_UPDATED,
        actor=None,
        target=device,
        changes={"name": ("Old", "Kasse 🥐, 東\n2")},
    )

    answer = admin.get(EXPORT)

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(body_of(answer), newline=""))
    _, listed = admin.get(LOGS).json()["logs"]
    assert list(row) == list(listed)
    assert row["device_id"] == device.device_id
    assert row["job_id"] == ""
    assert json.loads(row["new_values"]) == {"name": "Kasse 🥐, 東\n2"}
    assert row["created_at"] == listed["created_at"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "'="])
def test_csv_cells_are_never_formulas(admin, start):
    text = f'{start}HYPERLINK("http://evil.example","look")'
    make_rows(1, description=text, user_agent="harmless = really")

    (row,) = csv.DictReader(io.StringIO(body_of(admin.get(EXPORT)), newline=""))

    assert row["description"] == f"'{text}"
    assert row["user_agent"] == "harmless = really"


def test_export_is_audited_once_before_the_first_byte(admin):
    make_rows(2)
    make_rows(1, actor_label="anna")

    answer = admin.get(EXPORT, {"format": "csv", "actor": "anna"})

    row = AuditLog.objects.get(event_type=AuditEvent.DATA_EXPORTED)
    assert row.event_metadata == {"format": "csv", "filters": {"actor": "anna"}}
    assert row.description == "The audit log as CSV"
    assert row.request_id == answer["X-Request-ID"]
    assert row.actor_label == row.user.username
    assert len(body_of(answer).splitlines()) == 2
    assert AuditLog.objects.count() == 4


def test_export_ends_although_rows_keep_coming(admin, monkeypatch):
    monkeypatch.setattr(writing, "PAGE_ROWS", 2)
    make_rows(5)
    answer = admin.get(EXPORT, {"format": "ndjson"})
    chunks = []
    for chunk in answer.streaming_content:
        make_rows(3)  # older than the last row of this page, and made after the start
        chunks.append(chunk)
    assert [chunk.count(b"\n") for chunk in chunks] == [2, 2, 1]


@pytest.mark.parametrize("rows", [0, 1, 3, 4])
def test_pages_hold_every_row_once(admin, monkeypatch, rows):
    monkeypatch.setattr(writing, "PAGE_ROWS", 2)
    make_rows(rows)
    answer = admin.get(EXPORT, {"format": "ndjson"})
    pks = [json.loads(line)["id"] for line in body_of(answer).splitlines()]
    expected = AuditLog.objects.exclude(event_type="data_exported").order_by("-created_at", "-pk")
    assert pks == list(expected.values_list("pk", flat=True))


def test_each_page_is_one_statement(admin, monkeypatch, count_statements):
    monkeypatch.setattr(writing, "PAGE_ROWS", 2)
    make_rows(5)
    # 1. the caller's key, 2. the audit row, 3.-5. the pages
    with count_statements(5):
        body_of(admin.get(EXPORT))


@pytest.mark.django_db(transaction=True)
def test_nothing_is_open_between_pages(admin, monkeypatch):
    monkeypatch.setattr(writing, "PAGE_ROWS", 2)
    make_rows(5)
    for _ in admin.get(EXPORT).streaming_content:
        assert connection.connection is None


def test_scope_decides_which_rows_are_exported():
    mine, theirs = make_site(), make_site()
    make_rows(2, site=mine)
    make_rows(1, site=theirs)
    make_rows(1)
    user = make_user(site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=user, site=mine)
    api = APIClient()
    api.credentials(HTTP_X_API_KEY=make_api_key(user))

    rows = [
        json.loads(line) for line in body_of(api.get(EXPORT, {"format": "ndjson"})).splitlines()
    ]

    assert [row["site_id"] for row in rows] == [mine.site_id] * 2


def test_export_minds_no_accept_header(admin):
    answer = admin.get(EXPORT, HTTP_ACCEPT="text/csv")
    assert answer.status_code == 200
    refused = admin.get(EXPORT, {"format": "xlsx"}, HTTP_ACCEPT="text/csv")
    assert (refused.status_code, refused["Content-Type"]) == (400, "application/problem+json")
    assert [*refused.json()["errors"]] == ["format"]
    assert AuditLog.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "field"), [({"limit": "5"}, "limit"), ({"event_type": "x"}, "event_type")]
)
def test_refused_export_is_no_export(admin, query, field):
    answer = admin.get(EXPORT, query)
    assert (answer.status_code, [*answer.json()["errors"]]) == (400, [field])
    assert not AuditLog.objects.exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(admin):
    make_rows(
        200_000,
        description="A description of usual length, as rows have it",
        old_values={"name": "Old"},
        new_values={"name": "New"},
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    )
    for format in export.ExportFormat.values:
        answer = admin.get(EXPORT, {"format": format, "event_type": "site_updated"})
        tracemalloc.start()
        try:
            lines = sum(chunk.count(b"\n") for chunk in answer.streaming_content)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert lines == 200_000 + (format == "csv")
        assert peak < 16 * 2**20
