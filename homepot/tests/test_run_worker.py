"""The worker as a process of its own."""

from __future__ import annotations

import os
import signal
import time

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from homepot.models import Sweep
from homepot.testing.processes import WAIT_SECONDS, manage, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS = {"DJANGO_SETTINGS_MODULE": "homepot.tests.worker_settings"}
WORK = "homepot.tests.work"


def sweep(name: str) -> Sweep:
    return Sweep.objects.filter(name=f"{WORK}.{name}").first() or Sweep()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_sweeps_until_it_is_told_to_stop(number):
    with manage("run_worker", **SETTINGS) as worker:
        wait_until(lambda: sweep("quick").runs >= 3 and sweep("endless").lease_until, worker)
        worker.send_signal(number)
        _, log = worker.communicate(timeout=WAIT_SECONDS)
    assert worker.returncode == 0
    # The step under way was finished, and its lease given back.
    assert not Sweep.objects.filter(lease_until__isnull=False).exists()
    first, second, *rest = [line for line in log.splitlines() if line.startswith("20")]
    assert "Working on the " in first
    # What fails again and again is told once.
    assert f"The sweep {WORK}.failing failed" in second
    assert not rest


def test_worker_takes_over_from_one_that_was_killed():
    with manage("run_worker", **SETTINGS, WORK_SECONDS="60") as first:
        wait_until(lambda: sweep("slow").lease_until, first)
        with manage("run_worker", **SETTINGS) as second:
            wait_until(lambda: sweep("quick").runs >= 3, second)
            assert sweep("slow").runs == 0
            os.kill(first.pid, signal.SIGKILL)
            wait_until(lambda: sweep("slow").runs >= 1, second)


def test_worker_outlives_an_outage_of_the_database():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite is never away.")

    def allow_connections(is_allowed: bool) -> None:
        name = connection.settings_dict["NAME"]
        with connection._nodb_cursor() as cursor:
            quoted = connection.ops.quote_name(name)
            cursor.execute(f"ALTER DATABASE {quoted} ALLOW_CONNECTIONS {is_allowed}")
            if not is_allowed:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [name],
                )

    with manage("run_worker", **SETTINGS) as worker:
        wait_until(lambda: sweep("quick").runs >= 1, worker)
        connection.close()
        allow_connections(False)
        try:
            time.sleep(1)
        finally:
            allow_connections(True)
        runs = sweep("quick").runs
        wait_until(lambda: sweep("quick").runs > runs + 1, worker)
        worker.terminate()
        _, log = worker.communicate(timeout=WAIT_SECONDS)
    assert worker.returncode == 0
    assert log.count("The database does not answer") == 1
    assert log.count("The database answers again") == 1
    assert log.count("failed\n") == 1


def test_once_runs_every_sweep_one_time(settings):
    settings.SWEEPS = {f"{WORK}.quick": 60, f"{WORK}.slow": 60}
    for _ in range(2):
        call_command("run_worker", "--once")
    assert sorted(Sweep.objects.values_list("name", "runs")) == [
        (f"{WORK}.quick", 2),
        (f"{WORK}.slow", 2),
    ]


def test_once_runs_the_others_when_one_fails(settings):
    settings.SWEEPS = {f"{WORK}.failing": 60, f"{WORK}.quick": 60}
    with pytest.raises(CommandError, match=f"{WORK}.failing"):
        call_command("run_worker", "--once")
    assert sweep("quick").runs == 1
