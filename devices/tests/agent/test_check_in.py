"""How an agent keeps in touch with its server, against a real one."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from accounts.keys import digest_of
from devices.agent.client import enrol
from devices.agent.errors import RefusedError
from devices.agent.host import describe_host, os_details
from devices.agent.machine import Health, Machine
from devices.agent.transport import Transport
from devices.enums import LifecycleState, Permission
from devices.models import Device, HealthCheck
from homepot.rates import Rate
from sites.tests.factories import make_site

# A server in another thread sees only what was committed.
pytestmark = pytest.mark.django_db(transaction=True)


class SickMachine(Machine):
    def read_health(self) -> Health:
        return Health({"cpu_usage": 12.5}, 7, "Printer out of paper")


def test_enrolled_agent_becomes_an_active_device(live_server, try_out):
    site = make_site(enrolment_key=digest_of("hpe_key"))
    with closing(Transport(live_server.url)) as transport:
        credential = enrol(
            transport,
            site_id=site.site_id,
            enrolment_key="hpe_key",
            name="Till by the door",
            device_type="kiosk",
            os_details=os_details(),
        )
        facts = describe_host(transport.host, transport.port)
    device = Device.objects.get(device_id=credential.device_id)
    assert (device.name, device.lifecycle_state) == ("Till by the door", LifecycleState.PENDING)
    assert device.os_details == os_details()

    trial = try_out(live_server.url, device=device, key=credential.api_key, facts=facts)
    trial.step()

    device.refresh_from_db()
    assert trial.heard.errors == []
    assert (device.lifecycle_state, device.status) == (LifecycleState.ACTIVE, "online")
    assert (device.firmware_version, device.ip_address) == ("1.0.0", "127.0.0.1")


def test_agent_keeps_to_the_interval_it_is_told(live_server, settings, try_out):
    settings.CHECK_IN_SECONDS = 20
    trial = try_out(live_server.url)
    # 20 s, 10 % more or less from the server, and up to 5 % less from the device.
    assert 20 * 0.9 * 0.95 - 1 <= trial.step() <= 20 * 1.1
    trial.pass_time(205)
    assert 10 <= trial.heard.events.count("checked in") <= 13
    assert HealthCheck.objects.count() == trial.heard.events.count("checked in")


def test_interval_of_ones_own_counts_more_than_the_one_told(live_server, try_out):
    trial = try_out(live_server.url, interval=5)
    assert 5 * 0.95 <= trial.step() <= 5


def test_agent_tells_how_its_machine_is(live_server, try_out):
    machine = SickMachine({"firmware_version": "2.1", "config_version": "v7"})
    trial = try_out(live_server.url, machine=machine)
    trial.step()
    trial.device.refresh_from_db()
    check = HealthCheck.objects.get()
    assert (trial.device.status, trial.device.status_reason) == ("error", "Printer out of paper")
    assert (trial.device.firmware_version, trial.device.config_version) == ("2.1", "v7")
    assert (check.response_time_ms, check.response_data["cpu_usage"]) == (7, 12.5)
    assert check.reported_at


def test_host_has_a_health_of_its_own():
    loads = Machine().read_health().loads
    assert {"disk_usage", "cpu_usage"} <= set(loads)
    assert all(0 <= load <= 100 for load in loads.values())


def test_permissions_are_told_until_the_server_has_them(live_server, try_out):
    stored = {"permissions": {"root_access": True}, "has_untold_permissions": True}
    saved: list[dict[str, object]] = []
    trial = try_out(live_server.url, machine=Machine(stored, save=saved.append))
    trial.step()
    trial.device.refresh_from_db()
    assert trial.device.permissions == {Permission.ROOT_ACCESS: True}
    assert [each["has_untold_permissions"] for each in saved] == [False]
    trial.pass_time(130)
    assert len(saved) == 1


def test_agent_waits_longer_and_longer_for_a_server_that_is_away(try_out):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    trial = try_out(url)
    trial.pass_time(3600)
    heard = trial.heard
    assert {str(error) for error in heard.errors} == {f"Cannot reach {url}: nothing listens there."}
    # Twice the interval at most, and as often as usual on average.
    assert 60 < max(heard.waits) <= 120
    assert 40 < len(heard.waits) < 100
    assert all(wait <= 2**number for number, wait in enumerate(heard.waits[:7]))
    assert heard.events == []


def test_agent_that_was_refused_comes_back_when_it_may_speak(live_server, try_out):
    trial = try_out(live_server.url)
    trial.step()
    Device.objects.update(lifecycle_state=LifecycleState.SUSPENDED)
    trial.pass_time(600)
    assert {getattr(error, "status", None) for error in trial.heard.errors} == {403}
    Device.objects.update(lifecycle_state=LifecycleState.ACTIVE)
    trial.pass_time(240)
    assert trial.heard.events.count("checked in") > 2
    # And from then on as usual.
    failures = len(trial.heard.errors)
    trial.pass_time(240)
    assert len(trial.heard.errors) == failures


def test_agent_with_a_wrong_key_is_told_so(live_server, try_out):
    trial = try_out(live_server.url, key="hpd_wrong")
    trial.step()
    (error,) = trial.heard.errors
    assert str(error) == "The device id or its key is not valid."


def test_refused_enrolment_says_how_long_to_wait(live_server, settings):
    settings.THROTTLE_RATES = {"provision": Rate(1, 3600)}
    site = make_site()
    options = {"enrolment_key": "hpe_x", "name": "A", "device_type": "kiosk", "os_details": None}
    with closing(Transport(live_server.url)) as transport:
        for status in (401, 429):
            with pytest.raises(RefusedError) as caught:
                enrol(transport, site_id=site.site_id, **options)
            assert caught.value.status == status
    assert caught.value.retry_after
    assert 0 < caught.value.retry_after <= 3600
