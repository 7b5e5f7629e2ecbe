from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from audit.models import AuditLog
from devices.enums import DeviceType, LifecycleState
from devices.models import Device, HealthCheck
from jobs.enums import JobPriority, JobStatus
from jobs.models import Job
from sites.models import Site

pytestmark = pytest.mark.django_db

ORIGINAL = """
CREATE TABLE users (id INTEGER PRIMARY KEY, username, email, hashed_password, full_name, is_active,
    is_admin, role, api_key, created_at, updated_at);
CREATE TABLE sites (id INTEGER PRIMARY KEY, site_id, name, description, location, is_active,
    created_at, updated_at);
CREATE TABLE devices (id INTEGER PRIMARY KEY, site_id, device_id, name, device_type, status,
    ip_address, config, is_active, is_monitored, last_seen, created_at);
CREATE TABLE jobs (id INTEGER PRIMARY KEY, job_id, site_id, device_id, action, description,
    priority, status, payload, created_at);
CREATE TABLE health_checks (id INTEGER PRIMARY KEY, device_id, is_healthy, response_time_ms,
    status_code, response_data, timestamp);
CREATE TABLE audit_logs (id INTEGER PRIMARY KEY, event_type, description, user_id, device_id,
    new_values, created_at);
INSERT INTO users VALUES
    (7, 'Ann', 'ann@example.com', '$2b$12$x', 'Ann', 1, 1, 'admin', 'k', '2025-01-01', NULL),
    (8, 'no such name!', 'bad@example.com', 'x', NULL, 1, 0, 'user', NULL, '2025-01-01', NULL);
INSERT INTO sites VALUES
    (3, 'site-a', 'Caf\u00e9', NULL, 'Berlin', 1, '2025-01-02 08:00:00.5', '2025-01-03 08:00:00');
INSERT INTO devices VALUES
    (5, 3, 'till-1', 'Till 1', 'POS_TERMINAL', 'ONLINE', '10.0.0.1', '{"a": 1}', 1, 1,
        '2025-01-04 08:00:00', '2025-01-02 08:00:00'),
    (6, 3, 'till-2', 'Till 2', 'toaster', 'OFFLINE', NULL, NULL, 0, 1, NULL, '2025-01-02 08:00:00'),
    (9, 99, 'till-3', 'Till 3', 'kiosk', 'OFFLINE', NULL, NULL, 1, 1, NULL, '2025-01-02');
INSERT INTO jobs VALUES
    (1, 'job-1', 3, NULL, 'Update POS payment config', NULL, 'HIGH', 'COMPLETED', '{}',
        '2025-01-05'),
    (2, 'job-2', 3, 5, 'Polish', 'Shine', 'urgent', 'PENDING', NULL, '2025-01-05 08:00:00');
INSERT INTO health_checks VALUES
    (1, 5, 1, 12, 200, '{"cpu": 0.1}', '2025-01-04 08:00:00'),
    (2, 5, 0, NULL, 503, NULL, '2025-01-04 08:01:00'),
    (3, 9, 0, NULL, 503, NULL, '2025-01-04 08:01:00'),
    (4, 5, 0, -1, 503, NULL, '2025-01-04 08:02:00');
INSERT INTO audit_logs VALUES
    (1, 'job_created', 'A job', 7, 5, '{"password": "x"}', '2025-01-05 08:00:00');
"""


@pytest.fixture
def original(tmp_path):
    path = tmp_path / "original.db"
    database = sqlite3.connect(path)
    database.executescript(ORIGINAL)
    database.close()
    return f"sqlite+aiosqlite:///{path}"


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
    assert list(checks) == [(first.pk, {"cpu": 0.1}), (first.pk, None)]
    told = AuditLog.objects.get(event_type="original_event_imported")
    assert (told.user_id, told.device_id, told.description) == (ann.pk, first.pk, "A job")
    assert told.created_at == datetime(2025, 1, 5, 8, tzinfo=UTC)
    assert "1 left out: its site is not there" in said
    assert "1 left out: Use ASCII letters" in said
    assert "columns left out: is_monitored" in said
    assert "health_checks: 2 added" in said

    before = AuditLog.objects.count()
    again = bring(original)
    assert "health_checks: 0 added, 2 were there already" in again
    assert "audit_logs: 0 added, 1 were there already" in again
    assert "devices: 0 added, 2 were there already" in again
    assert (HealthCheck.objects.count(), AuditLog.objects.count()) == (2, before)


def test_original_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        bring(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(CommandError, match="--from is not a URL"):
        bring("nonsense")
