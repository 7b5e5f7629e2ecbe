from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.enums import Role
from accounts.models import User
from accounts.tests.factories import make_api_key, make_user

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites/sites"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"is_active": False}, 401),
        ({"api_key_expires_at": timezone.now() - timedelta(seconds=1)}, 401),
        ({"api_key_expires_at": timezone.now() + timedelta(days=1)}, 200),
        ({"api_key": None}, 401),
        ({"role": Role.NONE}, 403),
    ],
)
def test_api_key_works_until_it_or_its_account_ends(api, change, status):
    user = make_user(role=Role.VIEWER)
    api.credentials(HTTP_X_API_KEY=make_api_key(user))
    User.objects.filter(pk=user.pk).update(**change)

    assert api.get(SITES).status_code == status


@pytest.mark.parametrize("key", ["", "hpk_wrong", "hpd_" + "x" * 43, "x" * 10_000])
def test_unknown_keys_are_refused_without_fallback(api, key):
    api.force_login(make_user(role=Role.ADMIN))
    api.credentials(HTTP_X_API_KEY=key)

    answer = api.get(SITES)

    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")


def test_the_stored_digest_is_no_key(api):
    user = make_user(role=Role.VIEWER)
    make_api_key(user)
    api.credentials(HTTP_X_API_KEY=user.api_key)
    assert api.get(SITES).status_code == 401


def test_session_reads_with_three_statements(client, count_statements):
    client.force_login(make_user(role=Role.VIEWER))
    # 1. the session, 2. its account, 3. the sites
    with count_statements(3):
        assert client.get(SITES).status_code == 200
