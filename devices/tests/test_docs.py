"""The walk-through of docs/devices.md, tried as written."""

from __future__ import annotations

import json
import re

import pytest
from django.core.management import call_command

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from homepot.testing.guides import run_shell, shell_of


# A server in another thread sees only what was committed.
@pytest.mark.django_db(transaction=True)
def test_walk_through(live_server, settings, tmp_path):
    settings.CHECK_IN_SECONDS = 1
    call_command("loaddata", "seed", verbosity=0)
    key = make_api_key(make_user(role=Role.OPERATOR))

    script = shell_of("docs/devices.md#a-walk-through")
    ran = run_shell(script, folder=tmp_path, BASE=live_server.url, KEY=key)

    assert ran.returncode == 0, ran.stderr
    seen = {
        name: json.loads((tmp_path / f"{name}.json").read_text())
        for name in ("online", "offline", "error", "changes")
    }
    assert seen["online"]["status"] == "online"
    assert seen["offline"]["status"] == "offline"
    assert re.fullmatch(
        r"No check-in since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.", seen["offline"]["status_reason"]
    )
    assert (seen["error"]["status"], seen["error"]["status_reason"]) == (
        "error",
        "Printer out of paper",
    )
    changes = seen["changes"]["status_changes"]
    assert [change["new_status"] for change in changes] == ["error", "offline", "online"]
