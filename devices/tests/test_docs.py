"""What docs/devices.md and docs/agents.md have their readers type, tried as written."""

from __future__ import annotations

import json
import os
import re

import pytest
from django.conf import settings as project_settings
from django.core.management import call_command

from accounts.enums import Role
from accounts.keys import digest_of
from accounts.tests.factories import make_api_key, make_user
from devices.models import Device
from homepot.testing.guides import ROOT, run_shell, shell_of
from homepot.testing.processes import database_url
from sites.tests.factories import make_site


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


@pytest.mark.django_db(transaction=True)
def test_agents(live_server, tmp_path):
    make_site(site_id="site-001", enrolment_key=digest_of("hpe_key"))
    ran = run_shell(
        shell_of("docs/agents.md"),
        folder=ROOT,
        HOME=str(tmp_path),
        BASE=live_server.url,
        ENROLMENT_KEY="hpe_key",
        DATABASE__URL=database_url(),
        SECRET_KEY=project_settings.SECRET_KEY,
        HOMEPOT_ENV_FILE=os.devnull,
    )
    assert ran.returncode == 0, ran.stderr
    assert "INFO Checked in" in ran.stderr
    assert Device.objects.get(name="Till by the window").last_seen
    assert Device.objects.filter(is_simulated=True).exclude(last_seen=None).count() == 20
    assert "20 simulated devices at 4 sites" in ran.stdout
