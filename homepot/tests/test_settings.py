"""Settings: what is documented, what production refuses, and the secret of a laptop."""

from __future__ import annotations

import re
import secrets
import stat

import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from homepot.secret_key import make_secret_key
from homepot.tests.conftest import assert_refused, run_python
from scripts.configuration import PAGE, make_page, read_settings

SECRET_KEY = secrets.token_urlsafe(48)
PRODUCTION = {"ENVIRONMENT": "production", "SECRET_KEY": SECRET_KEY}
CHECK = ("manage.py", "check")


def test_env_example_lists_every_setting_with_its_default():
    read = {name: variable.default for name, variable in read_settings().items()}
    documented = re.findall(
        r"^# ([A-Z_]+)=(.*)$", (settings.BASE_DIR / ".env.example").read_text(), re.MULTILINE
    )
    assert dict(documented) == read


def test_page_of_all_settings_is_what_the_settings_make():
    assert PAGE.read_text() == make_page(), "Run `make configuration`."


def test_production_starts_with_safe_settings():
    assert run_python(*CHECK, **PRODUCTION).returncode == 0


@pytest.mark.parametrize(
    ("unsafe", "name"),
    [
        ({"DEBUG": "true"}, "DEBUG"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": "shop.example.com,*"}, "ALLOWED_HOSTS"),
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "change-me" + SECRET_KEY}, "SECRET_KEY"),
        ({"SECRET_KEY": "django-insecure-" + SECRET_KEY}, "SECRET_KEY"),
        ({"SECRET_KEY": SECRET_KEY[:49]}, "SECRET_KEY"),
        ({"SECRET_KEY": "a" * 60}, "SECRET_KEY"),
    ],
)
def test_production_refuses_unsafe_settings(unsafe, name):
    assert_refused(run_python(*CHECK, **PRODUCTION | unsafe), f"homepot: {name}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "staging"),
        ("DATABASE__POOL_SIZE", "many"),
        ("DEVICES__CHECK_IN_SECONDS", ""),
        ("DEVICES__CHECK_IN_SECONDS", "0"),
        ("DEVICES__BAD_CHECKS_FOR_ERROR", "0"),
        # It would delete everything.
        ("DEVICES__HISTORY_DAYS", "0"),
        ("DEVICES__ROLLUP_DAYS", "0"),
        ("TRUSTED_PROXIES", "10.0.0.1/99"),
        ("THROTTLE__LOGIN", "often"),
        ("LOGGING__LEVEL", "LOUD"),
        ("LOGGING__FORMAT", "xml"),
    ],
)
def test_wrong_value_ends_in_one_line(name, value):
    assert_refused(run_python(*CHECK, **{name: value}), f"homepot: {name}")


def test_owner_of_another_database_is_refused():
    urls = {
        "DATABASE__URL": "postgresql://service@db/homepot",
        "DATABASE__OWNER_URL": "postgresql://owner@db/other",
    }
    assert_refused(run_python(*CHECK, **urls), "homepot: DATABASE__OWNER_URL names another")
    # SQLite has no roles.
    urls["DATABASE__URL"] = ""
    assert run_python(*CHECK, **urls).returncode == 0


def test_first_command_writes_a_secret_that_only_its_owner_may_read(tmp_path):
    env_file = tmp_path / ".env"
    fresh = {"HOMEPOT_ENV_FILE": str(env_file), "SECRET_KEY": ""}
    first = run_python(*CHECK, **fresh)
    written = env_file.read_text()
    second = run_python(*CHECK, **fresh)
    assert (first.returncode, second.returncode) == (0, 0)
    assert re.fullmatch(r"SECRET_KEY=[\w-]{64}\n", written)
    assert env_file.read_text() == written
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", ["", "LOGGING__LEVEL=ERROR\n", "LOGGING__LEVEL=ERROR"])
@pytest.mark.parametrize("empty_line", ["", "SECRET_KEY=\n", "export SECRET_KEY = ''\n"])
def test_secret_is_added_to_the_settings_that_are_there(tmp_path, empty_line, there):
    env_file = tmp_path / ".env"
    env_file.write_text(empty_line + there)
    key = make_secret_key(env_file)
    settings_kept = f"{there.strip()}\n" if there else ""
    assert env_file.read_text() == f"{settings_kept}SECRET_KEY={key}\n"


def test_secret_that_cannot_be_kept_is_asked_for(tmp_path):
    env_file = tmp_path / "missing" / ".env"
    assert_refused(
        run_python(*CHECK, HOMEPOT_ENV_FILE=str(env_file), SECRET_KEY=""),
        "homepot: SECRET_KEY is not set",
        str(env_file),
    )


def test_background_work_can_be_found():
    for path in [*settings.SWEEPS, *settings.PULSE_TASKS]:
        assert callable(import_string(path))


def deploy_check(**environment: str):
    example = (settings.BASE_DIR / "deploy" / ".env.production.example").read_text()
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE))
    return run_python(
        *CHECK, "--deploy", "--fail-level", "WARNING", **given | PRODUCTION | environment
    )


def test_production_example_passes_the_deployment_checks():
    result = deploy_check()
    assert (result.returncode, result.stderr) == (0, ""), result.stderr


def test_deployment_check_warns_about_anonymous_read():
    result = deploy_check(API__ANONYMOUS_READ="true")
    assert result.returncode == 1
    assert "homepot.W001" in result.stderr
