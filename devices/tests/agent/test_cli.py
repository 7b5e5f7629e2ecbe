"""`python -m devices.agent`, as a person or a service manager starts it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from accounts.keys import digest_of
from devices.agent.cli import main as run_agent
from devices.agent.options import DEVICE_TYPES, make_parser
from devices.enums import DeviceType
from devices.models import Device, HealthCheck
from devices.tests.factories import make_credential, make_device
from homepot.testing.processes import python, wait_until
from sites.tests.factories import make_site

ENROLMENT_KEY = "hpe_key"


@pytest.fixture
def main(tmp_path, monkeypatch) -> Iterator[Callable[..., int]]:
    """`main("--site", ...)` runs an agent in this process until it ends by itself."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setenv("HOMEPOT_ENROLMENT_KEY", ENROLMENT_KEY)
    yield lambda *arguments: run_agent(["--state-dir", str(tmp_path / "state"), *arguments])
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_agent_needs_nothing_but_python():
    code = (
        "import sys, devices.agent.cli;"
        "print([name for name in sys.modules"
        " if name.split('.')[0] in ('django', 'rest_framework', 'homepot', 'orjson')"
        " or name.startswith('devices.') and not name.startswith('devices.agent')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "[]\n"


def test_vocabularies_are_the_servers():
    assert list(DEVICE_TYPES) == DeviceType.values
    assert make_parser().parse_args(["--url", "x"]).type in DeviceType.values


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--site", "site-a"], {"HOMEPOT_ENROLMENT_KEY": "hpe_no"}, "enrolment key is wrong"),
        (["--site", "site-b"], {}, "There is no site site-b."),
        (["--site", "site-a", "--name", "Taken"], {}, "an operator can re-enrol it. Then start"),
        (["--site", "site-a", "--name", "a\nb"], {}, "device_name: A name cannot hold control"),
        (["--site", "site-a"], {"HOMEPOT_ENROLMENT_KEY": ""}, "not enrolled yet: give --site"),
        ([], {}, "not enrolled yet: give --site"),
        (["--site", "site-a", "--enrolment-key-file", "/none"], {}, "Cannot read the key in"),
        (["--device-id", "till-1"], {}, "Give the key of device till-1"),
        (["--site", "site-a", "--url", "http://127.0.0.1:{free}"], {}, "nothing listens there"),
        (["--site", "site-a", "--url", "{url}/api"], {}, "is not where a HOMEPOT server"),
        (["--site", "site-a", "--url", "example.com"], {}, "is no address of a server"),
        (["--site", "site-a", "--ca-file", "/none"], {}, "Cannot read the certificates"),
        (["--state-dir", "/dev/null/x"], {}, "Cannot keep state in"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments, environment, words, main, live_server, monkeypatch, capsys
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    make_device(
        site=make_site(site_id="site-a", enrolment_key=digest_of(ENROLMENT_KEY)), name="Taken"
    )
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        free = listener.getsockname()[1]
    url = live_server.url.replace("http", "https") if "--ca-file" in arguments else live_server.url
    arguments = [each.replace("{free}", str(free)).replace("{url}", url) for each in arguments]

    assert main("--url", url, *arguments) == 1

    # The server logs there as well.
    told = [line for line in capsys.readouterr().err.splitlines() if "homepot agent:" in line]
    assert (len(told), words in told[-1]) == (1, True), told
    assert Device.objects.count() == 1


def agent(url: str, folder: Path, *arguments: str, **environment: str):
    options = ("--url", url, "--state-dir", str(folder), "--interval-override", "0.2")
    return python("-m", "devices.agent", *options, *arguments, **environment)


def wait_for_checks(process: subprocess.Popen[str], count: int) -> None:
    had = HealthCheck.objects.count()
    wait_until(lambda: HealthCheck.objects.count() >= had + count, process)


@pytest.mark.django_db(transaction=True)
def test_agent_enrols_once_and_goes_on_where_it_ended(live_server, tmp_path):
    make_site(site_id="site-a", enrolment_key=digest_of(ENROLMENT_KEY))
    state, key_file = tmp_path / "state", tmp_path / "key"
    key_file.write_text(f"{ENROLMENT_KEY}\n")
    first = ("--site", "site-a", "--name", "Till", "--enrolment-key-file", str(key_file))

    with agent(live_server.url, state, *first) as process:
        wait_for_checks(process, 2)
        arguments = " ".join(psutil.Process(process.pid).cmdline())
        # A second one would run the same commands.
        with agent(live_server.url, state) as second:
            assert second.wait(20) == 1
            assert second.stderr
            assert "Another agent runs" in second.stderr.read()
        process.terminate()
        assert process.wait(20) == 0
    stored = json.loads((state / "credential.json").read_text())
    assert stored["api_key"] not in arguments
    assert ENROLMENT_KEY not in arguments

    with agent(live_server.url, state) as process:
        wait_for_checks(process, 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert [device.device_id for device in Device.objects.all()] == [stored["device_id"]]


@pytest.mark.django_db(transaction=True)
def test_agent_takes_the_key_an_operator_made(live_server, tmp_path):
    device = make_device()
    for _ in range(2):  # at first, and when the device was re-enrolled
        key = make_credential(device)
        given = ("--device-id", device.device_id)
        with agent(live_server.url, tmp_path, *given, HOMEPOT_DEVICE_KEY=key) as process:
            wait_for_checks(process, 1)
        assert json.loads((tmp_path / "credential.json").read_text())["api_key"] == key


@pytest.mark.django_db(transaction=True)
def test_state_of_one_device_is_not_used_for_another(main, live_server, tmp_path, capsys):
    device = make_device()
    credential = {"device_id": device.device_id, "api_key": "hpd_x", "site_id": "site-a"}
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "credential.json").write_text(json.dumps(credential))
    for arguments, words in (
        (("--site", "site-b"), "whose site is site-a and not site-b"),
        (("--device-id", "till-2"), "and not till-2"),
    ):
        assert main("--url", live_server.url, *arguments) == 1
        assert words in capsys.readouterr().err
