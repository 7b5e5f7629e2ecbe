"""The tests' own tools."""

from __future__ import annotations

import os

import pytest
from django.conf import settings
from django.db import connection, transaction

from accounts.enums import Role
from accounts.keys import digest_of
from accounts.models import User
from accounts.tests.factories import make_api_key, make_user
from devices.enums import LifecycleState
from devices.tests.factories import make_device, make_health_check
from jobs.tests.factories import make_job
from sites.models import Site
from sites.tests.factories import make_site


def test_run_is_on_the_engine_asked_for(pytestconfig):
    assert connection.vendor == pytestconfig.option.database


def test_run_reads_no_env_file():
    assert str(settings.ENV_FILE) == os.devnull


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
