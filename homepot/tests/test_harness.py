"""The tests' own tools."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from django.conf import settings
from django.db import connection, transaction

from accounts.enums import Role
from accounts.keys import digest_of
from accounts.models import User
from accounts.tests.factories import make_api_key, make_user
from devices.enums import LifecycleState
from devices.tests.factories import make_device, make_health_check
from homepot.testing import browser
from homepot.tests.conftest import run_python
from jobs.tests.factories import make_job
from sites.models import Site
from sites.tests.factories import make_site


def test_run_is_on_the_engine_asked_for(pytestconfig):
    assert connection.vendor == pytestconfig.option.database


def test_run_reads_no_env_file():
    assert str(settings.ENV_FILE) == os.devnull


def test_server_disappears_with_its_run_however_that_ends(start):
    """kill -9 leaves a run no time to tidy up."""
    program = start(
        "-c",
        "import time; from homepot.testing.postgres import postgresql_server\n"
        "with postgresql_server() as url: print(url, flush=True); time.sleep(60)",
    )
    program.wait_for("\n")
    folder = Path(parse_qs(urlsplit(program.output.strip()).query)["host"][0])
    family = program.process.children(recursive=True)
    assert folder.is_dir()
    assert any("postgres" in process.name() for process in family)
    program.process.kill()
    _, left = psutil.wait_procs(family, timeout=30)
    assert left == []
    assert not folder.exists()


@pytest.mark.parametrize(("required", "status"), [("", 0), ("true", 1)])
def test_run_without_a_browser_says_what_nobody_looked_at(tmp_path, required, status):
    without = {"PATH": str(tmp_path), browser.REQUIRED: required}
    run = run_python("-m", "pytest", "homepot/tests/browser/test_live.py", **without)
    assert run.returncode == status
    assert run.stdout.count(browser.NOT_FOUND) >= 2, run.stdout


@pytest.mark.django_db
@pytest.mark.parametrize(
    "make",
    [
        make_user,
        lambda: make_user(role=Role.ADMIN),
        make_site,
        make_device,
        lambda: make_device(lifecycle_state=LifecycleState.RETIRED),
        make_health_check,
        make_job,
    ],
)
def test_factories_make_valid_rows_more_than_once(make):
    for _ in range(2):
        make().full_clean(exclude=["password"])


@pytest.mark.django_db
def test_made_api_key_is_stored_as_its_digest():
    user = make_user()
    key = make_api_key(user)
    assert User.objects.get(api_key=digest_of(key)) == user


@pytest.mark.django_db
def test_count_statements_leaves_transactions_out(count_statements):
    with count_statements(2), transaction.atomic():
        make_site()
        make_site()


@pytest.mark.django_db
def test_count_statements_names_the_statements_it_did_not_expect(count_statements):
    with (
        pytest.raises(pytest.fail.Exception, match=r"(?s)1 statements instead of 0:\n1\. SELECT"),
        count_statements(0),
    ):
        Site.objects.count()
