from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import User
from audit.models import AuditLog
from devices.enums import DeviceType, LifecycleState
from devices.models import Device, HealthCheck
from homepot.tests.conftest import execute, new_database
from jobs.enums import JobPriority, JobStatus
from jobs.models import Job
from sites.models import Site

pytestmark = pytest.mark.django_db

# Of each engine, what the original's columns were made with.
TYPES = {
    "sqlite": {"key": "INTEGER", "flag": "BOOLEAN", "time": "DATETIME", "json": "JSON"},
    "postgresql": {"key": "serial", "flag": "boolean", "time": "timestamptz", "json": "json"},
}
TABLES = """
CREATE TABLE users (id {key} PRIMARY KEY, username varchar(50), email varchar(100),
    hashed_password text, full_name text, is_active {flag}, is_admin {flag}, role text,
    api_key text, created_at {time}, updated_at {time});
CREATE TABLE sites (id {key} PRIMARY KEY, site_id text, name text, description text,
    location text, is_active {flag}, created_at {time}, updated_at {time});
CREATE TABLE devices (id {key} PRIMARY KEY, site_id integer, device_id text, name text,
    device_type text, status text, ip_address varchar(45), config {json}, is_active {flag},
    is_monitored {flag}, last_seen {time}, created_at {time});
CREATE TABLE jobs (id {key} PRIMARY KEY, job_id text, site_id integer, device_id integer,
    action text, description text, priority text, status text, payload {json}, created_at {time});
CREATE TABLE health_checks (id {key} PRIMARY KEY, device_id integer, is_healthy {flag},
    response_time_ms integer, status_code integer, response_data {json}, timestamp {time});
CREATE TABLE audit_logs (id {key} PRIMARY KEY, event_type text, description text,
    user_id integer, device_id integer, new_values {json}, created_at {time});
"""
ROWS = """
INSERT INTO users VALUES
    (7, 'Ann', 'ann@example.com', '$2b$12$x', 'Ann', true, true, 'admin', 'k', '2025-01-01',
        NULL),
    (8, 'no such name!', 'bad@example.com', 'x', NULL, true, false, 'user', NULL, '2025-01-01',
        NULL);
INSERT INTO sites VALUES
    (3, 'site-a', 'Caf\u00e9', NULL, 'Berlin', true, '2025-01-02 08:00:00.5',
        '2025-01-03 08:00:00');
INSERT INTO devices VALUES
    (5, 3, 'till-1', 'Till 1', 'POS_TERMINAL', 'ONLINE', '10.0.0.1', '{"a": 1}', true, true,
        '2025-01-04 08:00:00', '2025-01-02 08:00:00'),
    (6, 3, 'till-2', 'Till 2', 'toaster', 'OFFLINE', NULL, NULL, false, true, NULL,
        '2025-01-02 08:00:00'),
    (9, 99, 'till-3', 'Till 3', 'kiosk', 'OFFLINE', NULL, NULL, true, true, NULL, '2025-01-02');
INSERT INTO jobs VALUES
    (1, 'job-1', 3, NULL, 'Update POS payment config', NULL, 'HIGH', 'COMPLETED', '{}',
        '2025-01-05'),
    (2, 'job-2', 3, 5, 'Polish', 'Shine', 'urgent', 'PENDING', NULL, '2025-01-05 08:00:00');
INSERT INTO health_checks VALUES
    (1, 5, true, 12, 200, '{"cpu": 0.1}', '2025-01-04 08:00:00'),
    (2, 5, false, NULL, 503, NULL, '2025-01-04 08:01:00'),
    (3, 9, false, NULL, 503, NULL, '2025-01-04 08:01:00'),
    (4, 5, false, -1, 503, NULL, '2025-01-04 08:02:00'),
    (5, 5, true, 3, 200, '"\\u0000"', '2025-01-04 08:03:00'),
    (6, 5, true, 3, 200, '"up"', '2025-01-04 08:04:00');
INSERT INTO audit_logs VALUES
    (1, 'job_created', 'A job', 7, 5, '{"password": "x"}', '2025-01-05 08:00:00');
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def original(request, tmp_path):
    if request.param == "sqlite":
        path = tmp_path / "original.db"
        execute_script(f"sqlite:///{path}", request.param)
        yield f"sqlite+aiosqlite:///{path}"
    elif connection.vendor == "sqlite":
        pytest.skip("this run has no PostgreSQL")
    else:
        with new_database(tmp_path) as url:
            execute_script(url, request.param)
            yield url.replace("postgresql://", "postgresql+asyncpg://")


def execute_script(url, engine):
    script = TABLES.format(**TYPES[engine]) + ROWS
    # The original wrote times without a zone, which were UTC.
    utc = ["SET TIME ZONE 'UTC'"] * (engine == "postgresql")
    execute(url, *utc, *script.strip().removesuffix(";").split(";\n"))


def bring(url):
    said = StringIO()
    call_command("import_original", "--from", url, stdout=said)
    return said.getvalue()


def test_original_comes_along_once(original):
    said = bring(original)

    ann = User.objects.get()
    assert (ann.username, ann.is_active, ann.role, ann.api_key) == ("ann", False, "none", None)
    assert not ann.has_usable_password()
    site = Site.objects.get()
    assert (site.site_id, site.name) == ("site-a", "Caf\u00e9")
    assert site.created_at == datetime(2025, 1, 2, 8, 0, 0, 500_000, tzinfo=UTC)
    first, second = Device.objects.order_by("device_id")
    assert (first.device_type, first.lifecycle_state, first.config, first.site) == (
        DeviceType.POS_TERMINAL,
        LifecycleState.PENDING,
        {"a": 1},
        site,
    )
    assert (second.device_type, second.lifecycle_state) == (
        DeviceType.UNKNOWN,
        LifecycleState.RETIRED,
    )
    jobs = Job.objects.order_by("job_id").values_list("action", "priority", "status", "description")
    assert list(jobs) == [
        ("update_pos_payment_config", JobPriority.HIGH, JobStatus.COMPLETED, ""),
        ("device_task", JobPriority.NORMAL, JobStatus.CANCELLED, "Polish: Shine"),
    ]
    checks = HealthCheck.objects.order_by("checked_at").values_list("device_id", "response_data")
    assert list(checks) == [(first.pk, {"cpu": 0.1}), (first.pk, None), (first.pk, "up")]
    told = AuditLog.objects.get(event_type="original_event_imported")
    assert (told.user_id, told.device_id, told.description) == (ann.pk, first.pk, "A job")
    assert told.created_at == datetime(2025, 1, 5, 8, tzinfo=UTC)
    assert "1 left out: its site is not there" in said
    assert "1 left out: Use ASCII letters" in said
    assert "columns left out: is_monitored" in said
    assert "health_checks: 3 added" in said
    assert "1 left out: what is in response_data cannot be read" in said

    before = AuditLog.objects.count()
    again = bring(original)
    assert "health_checks: 0 added, 3 were there already" in again
    assert "audit_logs: 0 added, 1 were there already" in again
    assert "devices: 0 added, 2 were there already" in again
    assert (HealthCheck.objects.count(), AuditLog.objects.count()) == (3, before)


def test_missing_table_is_told(original):
    execute(original.replace("+aiosqlite", "").replace("+asyncpg", ""), "DROP TABLE jobs")
    said = bring(original)
    assert "jobs: 0 added" in said
    assert "the original has no such table" in said
    assert "health_checks: 3 added" in said


def test_original_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        bring(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(CommandError, match="--from is not a URL"):
        bring("nonsense")
