"""What Prometheus reads, and that several processes count together."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from django.core.management import call_command
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from accounts.keys import digest_of
from devices.enums import DeviceStatus, LifecycleState
from devices.models import DeviceCredential
from devices.tests.factories import make_device
from homepot import readiness as readiness_module
from homepot.metrics import views
from homepot.readiness import Part, Readiness
from homepot.testing.processes import manage, wait_until
from jobs.tests.factories import order_job

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a token of twenty characters"
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def measured(client, settings, monkeypatch):
    """A browser whose requests are measured."""
    monkeypatch.setattr(readiness_module, "GOOD_FOR_SECONDS", 0)
    settings.METRICS_TOKEN = TOKEN
    settings.SHORT_PATHS = settings.SHORT_PATHS | {"/metrics": "homepot.metrics.views.metrics"}
    return client


def samples(text):
    """Values by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(client):
    answer = client.get("/metrics", headers=ALLOWED)
    assert answer.status_code == 200
    return samples(answer.content.decode())


@pytest.mark.parametrize("header", ["", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_token_is_asked_for(measured, header):
    answer = measured.get("/metrics", headers={"Authorization": header})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


def test_without_a_token_there_is_no_such_page(client):
    assert client.get("/metrics", headers=ALLOWED).status_code == 404


def test_fleet_work_and_sweeps_are_told(measured):
    order_job(make_device(status=DeviceStatus.UNKNOWN, lifecycle_state=LifecycleState.ACTIVE))
    make_device(lifecycle_state=LifecycleState.RETIRED, is_active=False)
    call_command("run_worker", "--once")
    told = read(measured)
    assert told["homepot_devices", "unknown"] == 1
    assert told["homepot_devices", "offline"] == 0
    assert told["homepot_open_executions", "queued"] == 1
    assert told["homepot_sweep_overdue", "mark_silent_devices"] == 0
    assert 0 <= told["homepot_sweep_age_seconds", "mark_silent_devices"] < 60
    assert told["homepot_database_up",] == 1
    assert told["homepot_disk_free_bytes",] > 0


def test_database_that_is_away_leaves_the_rest(measured, monkeypatch):
    away = Readiness()
    monkeypatch.setattr(away, "parts", lambda: [Part("database", False, "It does not answer.")])
    monkeypatch.setattr(views, "readiness", away)
    told = read(measured)
    assert told["homepot_database_up",] == 0
    assert ("homepot_devices", "online") not in told


def test_callers_cannot_make_labels(measured):
    def requests():
        return {key: value for key, value in read(measured).items() if key[0].endswith("_count")}

    before = requests()
    for path in ("/made-up-1", "/made-up-2", "/api/v1/made-up-3", "/static/made-up-4.js"):
        measured.get(path)
    measured.get("/api/v1/sites/sites/made-up-5")
    measured.generic("MADEUP", "/livez")
    after = requests()
    counted = {key[1:]: after[key] - before.get(key, 0) for key in after}
    assert counted["404", "GET", "unknown"] == 3
    assert counted["404", "GET", "static files"] == 1
    assert counted["/api/v1/sites/sites/<site_id>", "401", "GET"] == 1
    assert counted["/livez", "405", "other"] == 1
    assert not any("made-up" in label for key in after for label in key)


def test_refused_keys_are_counted(measured):
    before = read(measured).get(("homepot_refused_keys_total",), 0)
    measured.get("/api/v1/sites/sites", headers={"X-API-Key": "hpk_wrong"})
    assert read(measured)["homepot_refused_keys_total",] - before == 1


def test_processes_count_together_and_the_dead_leave_the_living(free_port):
    device = make_device(lifecycle_state=LifecycleState.ACTIVE)
    DeviceCredential.objects.create(device=device, key_digest=digest_of("hpd_key"), hint="hpd_key")

    def send(method, path, headers, body=None):
        server = http.client.HTTPConnection("127.0.0.1", int(free_port), timeout=20)
        server.request(method, path, body, headers)
        answer = server.getresponse()
        text = answer.read().decode()
        server.close()
        assert answer.status == 200, text
        return text

    def check_in(_):
        speaker = {"X-Device-ID": device.device_id, "X-API-Key": "hpd_key"}
        send("POST", "/api/v1/agent/check-in", speaker, json.dumps({"is_healthy": True}))

    def told():
        return samples(send("GET", "/metrics", ALLOWED))

    def is_up():
        try:
            return told()
        except OSError:
            return False

    options = {
        "METRICS__TOKEN": TOKEN,
        "DATABASE__POOL_SIZE": "4",
        "DATABASE__MAX_OVERFLOW": "0",
        "DEVICES__CHECK_IN_SECONDS": "4",
    }
    with manage("serve", "--port", free_port, "--workers", "2", **options) as server:
        wait_until(is_up, server)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(check_in, range(40)))
        counts = [told()["homepot_check_ins_total", "alone"] for _ in range(6)]
        assert counts == [40] * 6
        route = ("/api/v1/agent/check-in", "200", "POST")
        assert told()["homepot_request_seconds_count", *route] == 40

        workers = psutil.Process(server.pid).children()
        workers[0].kill()
        psutil.wait_procs(workers[:1])
        wait_until(is_up, server)
        check_in(None)
        assert told()["homepot_check_ins_total", "alone"] == 41
        if connection.vendor == "postgresql":

            def connections():
                values = told()
                states = [("homepot_pool_connections", state) for state in ("idle", "used")]
                return sum(values.get(state, 0) for state in states)

            # Four of each process that lives: the dead one's are no longer counted.
            wait_until(lambda: connections() == 8, server)
