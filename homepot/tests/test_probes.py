"""What probes answer, and what they cost."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from homepot import probes
from homepot import readiness as readiness_module
from homepot.models import Sweep
from homepot.readiness import Readiness
from homepot.testing.line import line_to
from homepot.testing.processes import database_url, manage, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

QUICK = "homepot.tests.work.quick"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No answer of an earlier test is good any more."""
    fresh = Readiness()
    monkeypatch.setattr(probes, "readiness", fresh)
    monkeypatch.setattr(readiness_module, "GOOD_FOR_SECONDS", 0)
    return fresh


@pytest.fixture
def worked(settings):
    """A worker was here a moment ago."""
    settings.SWEEPS = {QUICK: 60}
    Sweep.objects.create(name=QUICK, last_finished_at=timezone.now())


def unwell(client, path="/readyz"):
    """Status, and the parts that are not well."""
    answer = client.get(path)
    checks = answer.json()["checks"]
    return answer.status_code, {
        name: check["detail"] for name, check in checks.items() if not check["is_well"]
    }


def test_all_is_well(client, worked):
    answer = client.get("/readyz")
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    body = answer.json()
    assert body["status"] == "ready"
    assert body["checks"].pop("disk")["is_well"]
    assert body["checks"] == {
        "database": {"is_well": True, "detail": "It answers."},
        "migrations": {"is_well": True, "detail": "All are applied."},
        "sweeps": {"is_well": True, "detail": "All ran in time."},
    }


def test_without_a_worker_the_service_is_not_ready_and_serves(client, worked):
    Sweep.objects.update(last_finished_at=timezone.now() - timedelta(hours=1))
    assert unwell(client) == (503, {"sweeps": "Overdue: quick."})
    assert unwell(client, "/api/v1/health/health") == (200, {})


def test_missing_migration_is_told(client, worked):
    MigrationRecorder(connection).record_unapplied("sites", "0001_initial")
    try:
        told = (503, {"migrations": "1 are to be applied."})
        assert unwell(client) == told
        assert unwell(client, "/api/v1/health/health/") == told
    finally:
        MigrationRecorder(connection).record_applied("sites", "0001_initial")


def test_full_disk_is_told(client, worked, settings):
    settings.MIN_FREE_DISK_MB = 10**12
    status, parts = unwell(client)
    assert (status, list(parts)) == (503, ["disk"])
    assert unwell(client, "/api/v1/health/health") == (200, {})


def test_database_that_hangs_is_told_within_a_second(client, worked, fresh, monkeypatch):
    answered = threading.Event()

    def hang():
        answered.wait(60)
        return []

    monkeypatch.setattr(readiness_module, "look_at_database", hang)
    began = time.monotonic()
    assert unwell(client)[1] == {"database": "It has not answered for 1 s."}
    assert time.monotonic() - began < 30
    answered.set()


def test_many_probes_ask_once(client, worked, monkeypatch):
    monkeypatch.setattr(readiness_module, "GOOD_FOR_SECONDS", 60)
    asked = []
    look = readiness_module.look_at_database
    monkeypatch.setattr(readiness_module, "look_at_database", lambda: asked.append(1) or look())
    for _ in range(5):
        assert client.get("/readyz").status_code == 200
    assert len(asked) == 1


def test_process_lives_whatever_the_database_does(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/livez", headers={"Host": "10.0.0.7"})
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_probes_are_read_only(client):
    assert client.post("/livez").status_code == 405
    assert client.head("/livez").status_code == 200


def test_while_postgresql_is_away_probes_say_so_and_then_that_it_is_back(free_port):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server that could go away")
    call_command("run_worker", "--once")

    def probe(path):
        try:
            with urlopen(f"http://127.0.0.1:{free_port}{path}", timeout=60) as answer:
                return answer.status
        except HTTPError as error:
            return error.code
        except OSError:
            return None

    with (
        line_to(database_url()) as line,
        manage("serve", "--port", free_port, "--workers", "1", DATABASE__URL=line.url) as server,
    ):
        wait_until(lambda: probe("/readyz") == 200, server)
        line.cut()
        wait_until(lambda: probe("/readyz") == 503, server)
        assert [probe(path) for path in ("/readyz", "/api/v1/health/health", "/livez")] == [
            503,
            503,
            200,
        ]
        line.mend()
        wait_until(lambda: probe("/readyz") == 200, server)
