"""The walk-through of docs/jobs.md, tried as written."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from devices.models import Device
from devices.tests.factories import make_credential
from homepot.testing.guides import run_shell, shell_of


# A server in another thread sees only what was committed.
@pytest.mark.django_db(transaction=True)
def test_walk_through(live_server, tmp_path):
    call_command("loaddata", "seed", verbosity=0)
    key = make_api_key(make_user(role=Role.OPERATOR))
    device_key = make_credential(Device.objects.get(device_id="pos-terminal-001"))

    script = shell_of("docs/jobs.md#a-walk-through")
    environment = {"BASE": live_server.url, "KEY": key, "DEVICE_KEY": device_key}
    ran = run_shell(script, folder=tmp_path, **environment)

    assert ran.returncode == 0, ran.stderr
    seen = {
        name: json.loads((tmp_path / f"{name}.json").read_text())
        for name in ("progress", "done", "cancelled")
    }
    progress = seen["progress"]
    assert (progress["status"], progress["completed"]) == ("acknowledged", 1)
    assert progress["open"] == progress["total"] - 1
    (execution,) = seen["done"]["executions"]
    assert execution["device_id"] == "pos-terminal-001"
    assert execution["result"] == {"restarted": False}
    assert (seen["cancelled"]["status"], seen["cancelled"]["open"]) == ("cancelled", 0)
    assert Device.objects.get(device_id="pos-terminal-001").config_version == "42"
