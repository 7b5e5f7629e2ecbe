"""docs/deployment.md, docs/upgrades.md and docs/troubleshooting.md, as written."""

from __future__ import annotations

import re
import secrets

import pytest
import yaml
from django.db import connection

from accounts.tests.factories import make_user
from homepot.doctor import database
from homepot.testing.guides import ROOT, run_shell, sections_of, shell_of
from homepot.testing.processes import database_url
from homepot.testing.project import copy_project
from homepot.tests.conftest import execute

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def installation(tmp_path, migrated_database_url):
    """A folder with the settings of a server, whose worker was here a moment ago."""
    if connection.vendor == "postgresql" and database.ask("SHOW fsync") == [("off",)]:
        pytest.skip("the doctor ends with 1: this server forgets what a power cut takes")
    project = copy_project(tmp_path / "project")
    example = (ROOT / "deploy" / ".env.production.example").read_text()
    for name, value in (
        ("SECRET_KEY", secrets.token_urlsafe(48)),
        ("DATABASE__URL", migrated_database_url),
    ):
        example = re.sub(rf"^{name}=.*$", f"{name}={value}", example, flags=re.MULTILINE)
    (project / ".env").write_text(example)
    (project / ".env").chmod(0o600)
    type_in("python manage.py run_worker --once", project)
    return project


def type_in(script, folder, **environment):
    ran = run_shell(script, folder=folder, **environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_deployment_checks(installation):
    told = type_in(shell_of("docs/deployment.md#before-the-first-device"), installation)
    assert "System check identified no issues" in told
    assert ", 0 problems" in told


def test_upgrade_and_the_way_back(installation, migrated_database_url):
    steps = type_in(shell_of("docs/upgrades.md#the-steps"), installation)
    assert "Backed up" in steps
    assert "No planned migration operations." in steps
    assert "No migrations to apply." in steps
    back = type_in(shell_of("docs/upgrades.md#back-again"), installation)
    assert "[X] 0004_add_target_index" in back
    assert "Unapplying audit.0004_add_target_index... OK" in back
    applied = "SELECT count(*) FROM django_migrations WHERE name = '0004_add_target_index'"
    assert execute(migrated_database_url, applied) == [(0,)]


def test_first_look_when_something_is_wrong(installation):
    assert ", 0 problems" in type_in(shell_of("docs/troubleshooting.md#first"), installation)


def test_lock_out_is_ended(tmp_path):
    make_user(username="anna")
    project = copy_project(tmp_path / "project")
    script = shell_of("docs/troubleshooting.md#nobody-can-sign-in")
    assert type_in(script, project, DATABASE__URL=database_url()).strip()


def test_looks_into_postgresql(tmp_path):
    if connection.vendor != "postgresql":
        pytest.skip("is about PostgreSQL")
    told = type_in(
        shell_of("docs/troubleshooting.md#it-is-slow"), tmp_path, DATABASE__URL=database_url()
    )
    assert "waits_for" in told
    assert "last_autovacuum" in told


def test_commands_with_docker_are_those_that_ci_runs():
    """They need an engine and a registry, which tests have not."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["image"]["steps"]
    typed = {line for step in steps for line in step.get("run", "").splitlines()}
    for guide in ("docs/deployment.md", "docs/upgrades.md"):
        for section in sections_of(guide):
            for block in section.blocks:
                if block.language == "sh" and block.text.startswith("# With Docker"):
                    asked = {
                        line for line in block.text.splitlines()[1:] if "superuser" not in line
                    }
                    assert asked <= typed
