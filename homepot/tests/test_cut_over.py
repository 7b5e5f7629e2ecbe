"""A move under load: what devices were told is stored is there after the switch."""

from __future__ import annotations

import signal
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import orjson
import pytest

from accounts.keys import DEVICE_KEY_PREFIX, make_key
from devices.enums import LifecycleState
from devices.models import Device, DeviceCredential, HealthCheck
from homepot.tests.conftest import run_python
from homepot.transfer.databases import database
from sites.models import Site

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
DEVICES = 4


class Till(threading.Thread):
    """A device that checks in again and again, and repeats each until it is told 200."""

    def __init__(self, port, device_id, key):
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{port}/api/v1/agent/check-in"
        self.headers = {
            "X-Device-ID": device_id,
            "X-API-Key": key,
            "Content-Type": "application/json",
        }
        self.stored, self.refused, self.stop = [], 0, threading.Event()
        # What it was told besides 200: status, and whether it said when to come again.
        self.answers = set()

    def run(self):
        while not self.stop.is_set():
            reported_at = datetime.now(UTC)
            body = orjson.dumps({"is_healthy": True, "reported_at": reported_at})
            while not self.stop.is_set() and not self.send(body):
                time.sleep(0.1)
            else:
                if not self.stop.is_set():
                    self.stored.append(reported_at)
            time.sleep(0.02)

    def send(self, body):
        request = urllib.request.Request(self.url, body, self.headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            self.answers.add((error.code, error.headers["Retry-After"] is not None))
            self.refused += 1
            return False
        except OSError:  # no server at the moment
            return False


def wait_until(is_so):
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_that_was_stored_is_lost(migrated_database_url, tmp_path, start, free_port):
    target = f"sqlite:///{tmp_path / 'moved.db'}"
    tills = []
    with database(migrated_database_url) as source:
        site = Site.objects.using(source.alias).create(site_id="s", name="S")
        for number in range(DEVICES):
            device = Device.objects.using(source.alias).create(
                site=site,
                device_id=f"till-{number}",
                name=f"Till {number}",
                lifecycle_state=LifecycleState.ACTIVE,
            )
            new = make_key(DEVICE_KEY_PREFIX)
            DeviceCredential.objects.using(source.alias).create(
                device=device, key_digest=new.digest, hint=new.hint
            )
            tills.append(Till(free_port, device.device_id, new.key))

    def serve(url, **environment):
        return start("manage.py", "serve", "--port", free_port, DATABASE__URL=url, **environment)

    server = serve(migrated_database_url)
    for till in tills:
        till.start()
    wait_until(lambda: all(len(till.stored) > 5 for till in tills))
    server.end(signal.SIGTERM)
    server = serve(migrated_database_url, MAINTENANCE__READ_ONLY="true")
    wait_until(lambda: all(till.refused > 1 for till in tills))
    before = sum(len(till.stored) for till in tills)
    copied = run_python(
        *("manage.py", "copy_database", "--to", target),
        DATABASE__URL=migrated_database_url,
        MAINTENANCE__READ_ONLY="true",
    )
    assert copied.returncode == 0, copied.stderr
    assert sum(len(till.stored) for till in tills) == before
    server.end(signal.SIGTERM)
    server = serve(target)
    goals = [len(till.stored) + 3 for till in tills]
    wait_until(lambda: all(len(t.stored) >= n for t, n in zip(tills, goals, strict=True)))
    for till in tills:
        till.stop.set()
        till.join()
    server.end(signal.SIGTERM)
    with database(target) as moved:
        kept = set(
            HealthCheck.objects.using(moved.alias).values_list("device__device_id", "reported_at")
        )
    told = {(till.headers["X-Device-ID"], moment) for till in tills for moment in till.stored}
    assert told - kept == set()
    assert set.union(*(till.answers for till in tills)) == {(503, True)}
