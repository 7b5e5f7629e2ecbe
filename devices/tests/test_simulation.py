"""Simulated devices: by chance, but the same for the same seed, and with a real server."""

from __future__ import annotations

import io
import time
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import AuditLog
from devices.agent.client import Command, Credential
from devices.enums import LifecycleState
from devices.management.commands import simulate_fleet
from devices.models import Device, HealthCheck
from devices.simulation.chance import Chances, SimulatedMachine, SimulatedWork
from devices.simulation.fleet import Fleet, Member, make_member
from devices.simulation.registration import prepare_fleet
from devices.simulation.tally import Tally, TimedTransport, percentile
from devices.tests.factories import make_device
from homepot.testing.processes import wait_until
from sites.models import Site

IDS = [f"simulated-001-{number:04d}" for number in range(200)]


def everything(chances: Chances) -> list[Any]:
    """All that happens by chance to some devices."""
    found: list[Any] = []
    for device_id in IDS:
        machine = SimulatedMachine(chances, device_id)
        work = SimulatedWork(chances, device_id, machine, lambda: 0.0)
        outcomes = []
        for _ in range(3):
            work.begin(Command(str(uuid4()), "ping"))
            done = work.take_outcome()
            assert done
            outcomes.append(done[1].error_code)
        checks = [machine.read_health() for _ in range(3)]
        found.append((chances.silences(device_id, 60), checks, outcomes))
    return found


def test_same_seed_has_the_same_happen():
    first, again, other = (everything(Chances(seed, 0.3, 0.3)) for seed in (7, 7, 8))
    assert first == again
    assert first != other


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_rates_are_kept(rate):
    happened = everything(Chances(1, rate, rate))
    silent = sum(bool(silences) for silences, _, _ in happened)
    sick = sum(not check.is_healthy for _, checks, _ in happened for check in checks)
    failed = sum(code == "simulated_failure" for _, _, codes in happened for code in codes)
    for count, of in ((silent, 200), (sick, 600), (failed, 600)):
        assert abs(count / of - rate) < 0.08
        assert (count == 0, count == of) == (rate == 0, rate == 1)


def test_silences_lie_within_the_run_and_leave_time_to_speak():
    for device_id in IDS:
        silences = Chances(1, offline_rate=1.0).silences(device_id, 60)
        ends = [0.0, *(end for _, end in silences)]
        for (start, end), before in zip(silences, ends, strict=False):
            assert before <= start < min(end, 60)
        assert sum(min(end, 60) - start for start, end in silences) < 60


def test_percentile():
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, percent) for percent in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([3.0], 99) == 3.0


# Registering


def prepare(device_count: int, site_count: int) -> list[Credential]:
    return prepare_fleet(
        device_count=device_count, site_count=site_count, on_progress=lambda ready: None
    )


@pytest.mark.django_db
def test_fleet_is_spread_over_its_sites_and_marked():
    credentials = prepare(7, 3)
    devices = Device.objects.filter(device_id__in=[each.device_id for each in credentials])
    assert sorted(devices.values_list("site__site_id", flat=True)) == [
        *["simulated-001"] * 3,
        *["simulated-002"] * 2,
        *["simulated-003"] * 2,
    ]
    assert all(device.is_simulated for device in devices)
    assert AuditLog.objects.filter(event_type="device_created").count() == 7


@pytest.mark.django_db
def test_fleet_is_used_again_with_new_keys():
    first, again, larger = prepare(4, 2), prepare(4, 2), prepare(6, 2)
    assert [each.device_id for each in again] == [each.device_id for each in first]
    assert {each.device_id for each in first} < {each.device_id for each in larger}
    assert len({each.api_key for each in [*first, *again, *larger]}) == 14
    assert (Device.objects.count(), Site.objects.count()) == (6, 2)


@pytest.mark.django_db
def test_what_staff_took_away_is_replaced_and_left_alone():
    prepare(3, 1)
    make_device(site=Site.objects.get(), device_id="simulated-001-0004")  # a real one
    Device.objects.filter(device_id="simulated-001-0001").update(
        lifecycle_state=LifecycleState.RETIRED, is_active=False
    )
    Device.objects.filter(device_id="simulated-001-0002").update(
        lifecycle_state=LifecycleState.SUSPENDED
    )
    credentials = prepare(3, 1)
    assert [each.device_id[-4:] for each in credentials] == ["0003", "0005", "0006"]

    Device.objects.update(lifecycle_state=LifecycleState.RETIRED, is_active=False)
    Site.objects.update(is_active=False)
    assert [each.device_id for each in prepare(1, 1)] == ["simulated-002-0001"]


# The command


def simulate(url: str, **options: Any) -> str:
    output = io.StringIO()
    defaults = {"devices": 12, "sites": 3, "seconds": 1, "interval": 1, "connections": 4}
    call_command("simulate_fleet", url=url, stdout=output, **defaults | options)
    return output.getvalue()


@pytest.mark.django_db(transaction=True)
def test_simulation_ends_with_a_table(live_server, settings):
    for options in ({"seconds": 2}, {"in_production": True}):
        settings.IS_PRODUCTION = "in_production" in options
        HealthCheck.objects.all().delete()
        told = simulate(live_server.url, devices=6, failure_rate=1.0, **options)
        check_ins = HealthCheck.objects.count()
        assert f"  Check-ins {check_ins:>22}\n" in told
        assert "  Errors                         0\n" in told
        assert f"  check-in  {check_ins:>16}" in told
    assert Device.objects.filter(status="error").count() == 6
    assert "not driven" not in told
    assert "Each device checks in every 1 s, and fetches its work then.\n" in told
    told = simulate(live_server.url, devices=2, sites=1, in_production=True)
    assert "4 simulated devices of earlier runs are not driven" in told


@pytest.mark.django_db(transaction=True)
def test_error_that_was_not_simulated_fails_the_command(live_server, monkeypatch):
    prepared = simulate_fleet.prepare_fleet

    def with_a_wrong_key(**options: Any) -> list[Credential]:
        return [*prepared(**options), Credential("simulated-001-9999", "hpd_wrong")]

    monkeypatch.setattr(simulate_fleet, "prepare_fleet", with_a_wrong_key)
    output = io.StringIO()
    with pytest.raises(CommandError, match=r"Errors that were not simulated: \d+\."):
        call_command(
            "simulate_fleet", url=live_server.url, devices=1, sites=1, seconds=1, stdout=output
        )
    assert "HTTP 401" in output.getvalue()
    assert "The device id or its key is not valid." in output.getvalue()


@pytest.mark.django_db(transaction=True)
def test_fault_of_the_simulation_is_told(live_server, monkeypatch):
    monkeypatch.setattr(SimulatedMachine, "read_health", lambda machine: 1 / 0)
    with pytest.raises(CommandError, match="Errors that were not simulated: 12"):
        simulate(live_server.url)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "http://127.0.0.1:1"}, "nothing listens there. Start it with `make run`"),
        ({"url": "example.com"}, "is no address of a server"),
        ({"devices": 2, "sites": 3}, "--sites is more than --devices"),
        ({"prod": True}, "This is a production database"),
    ],
)
def test_mistakes_are_refused_before_anything_is_made(options, words, live_server, settings):
    settings.IS_PRODUCTION = options.pop("prod", False)
    with pytest.raises(CommandError) as caught:
        simulate(**{"url": live_server.url} | options)
    assert words in str(caught.value)
    assert not Site.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_server_with_another_database_is_noticed(live_server):
    with pytest.raises(CommandError, match="does not know the devices registered in the"):
        simulate_fleet.check_same_database(live_server.url, Credential("till-1", "hpd_x"))


@pytest.mark.django_db(transaction=True)
def test_members_are_silent_at_their_times_and_while_they_are_off(live_server):
    tally = Tally()
    with closing(TimedTransport(live_server.url, tally)) as transport:
        members = [
            make_member(
                credential,
                transport=transport,
                tally=tally,
                chances=Chances(1),
                run_seconds=60,
                interval=0.05,
            )
            for credential in prepare(2, 1)
        ]
        members[0].silences = [(0.0, 0.5)]
        fleet = Fleet(members, tally, 2)
        started = timezone.now()
        fleet.start()
        try:
            wait_until(lambda: first_check(members[0]))
            assert first_check(members[0]) - started >= timedelta(seconds=0.5)
            assert first_check(members[1]) < first_check(members[0])
            fleet.switch_off(members)
            time.sleep(0.3)  # what is under way ends
            count = tally.events["checked in"]
            time.sleep(0.3)
            assert tally.events["checked in"] == count
            fleet.switch_on(members)
            wait_until(lambda: tally.events["checked in"] >= count + 4)
            fleet.settle()
        finally:
            fleet.stop()
    assert tally.error_count == 0


def first_check(member: Member) -> Any:
    checks = HealthCheck.objects.filter(device__device_id=member.device_id)
    return checks.order_by("id").values_list("checked_at", flat=True).first()
