"""docs/getting-started.md, tried as written."""

from __future__ import annotations

import json
import os

import pytest

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from homepot.testing.guides import ROOT, run_shell, shell_of
from jobs.models import Job


# A server in another thread sees only what was committed.
@pytest.mark.django_db(transaction=True)
def test_shop_till_and_job(live_server, tmp_path):
    key = make_api_key(make_user(role=Role.ADMIN))
    ran = run_shell(
        shell_of("docs/getting-started.md"),
        folder=tmp_path,
        BASE=live_server.url,
        KEY=key,
        HOME=str(tmp_path),
        PYTHONPATH=str(ROOT),
        HOMEPOT_ENV_FILE=os.devnull,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads((tmp_path / "job.json").read_text())["completed"] == 1
    assert Job.objects.get().site.name == "Corner shop"
