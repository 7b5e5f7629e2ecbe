from __future__ import annotations

from django.conf import settings

from homepot.tests.conftest import run_python


def test_every_migration_goes_forward_and_back_with_rows_from_every_state(empty_database_url):
    walked = run_python(
        *("-m", "homepot.testing.migration_walk"),
        DATABASE__URL=empty_database_url,
        DJANGO_SETTINGS_MODULE="homepot.settings",
    )
    assert walked.returncode == 0, walked.stderr
    assert int(walked.stdout) == len(list(settings.BASE_DIR.glob("*/migrations/0*.py")))
