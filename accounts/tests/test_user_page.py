"""The page of a user: what it may do, how it signs in, and what ends that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import lockout, sign_in
from accounts.enums import Role, SiteAccess
from accounts.keys import KEY_USE_NOTED_EVERY
from accounts.models import SiteMembership, User
from accounts.services import create_api_key, delete_user
from accounts.tests.factories import make_api_key, make_token, make_user
from audit.enums import AuditEvent
from audit.models import AuditLog
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

ADDRESS = "192.0.2.7"


def page_of(user: User) -> str:
    return f"/admin/accounts/user/{user.pk}/change/"


def fail(user: User, times: int) -> None:
    for _ in range(times):
        sign_in.record_failure(
            tried=user.username, user=user, address=ADDRESS, path="/admin/login/"
        )


@pytest.mark.parametrize("rows", [1, 3])
def test_page_takes_constant_statements(staff, rows, count_statements):
    user = make_user(role=Role.VIEWER, site_access=SiteAccess.SELECTED)
    for _ in range(rows):
        SiteMembership.objects.create(user=user, site=make_site())
        make_token(user)
        sign_in.record_sign_in(user=user, address=ADDRESS)
    fail(user, rows)
    browser = staff(Role.ADMIN)
    browser.get(page_of(user))  # Django keeps the model's content type after that
    # 1. session, 2. its account, 3. the user, 4. keys of its sites for the form, 5. failed
    # sign-ins, 6. names of its sites, 7. sign-ins, 8. tokens, 9. what was done to it,
    # 10. what it did, 11. the sites of the form
    with count_statements(11):
        assert browser.get(page_of(user)).status_code == 200


def test_page_shows_what_the_user_may_do_and_how_it_signs_in(staff):
    user = make_user(role=Role.VIEWER, site_access=SiteAccess.SELECTED, full_name="Vera Viewer")
    SiteMembership.objects.create(user=user, site=make_site(name="Harbour shop"))
    make_api_key(user)
    token = make_token(user)
    sign_in.record_sign_in(user=user, address=ADDRESS)
    fail(user, 1)

    page = staff(Role.ADMIN).get(page_of(user)).content.decode()

    for text in (
        "Viewer",
        "Harbour shop",
        "Vera Viewer",
        f"{user.api_key_hint}…",
        "User signed in",
        "Sign-in refused",
        f"1 failed sign-in from {ADDRESS}",
        f"{token[:8]}",
    ):
        assert text in page, text
    assert token not in page
    assert "Locked out" not in page


def test_page_tells_nothing_of_an_earlier_user_of_that_name(staff):
    browser = staff(Role.ADMIN)
    earlier = make_user(username="ann", email="ann@example.com")
    sign_in.record_sign_in(user=earlier, address=ADDRESS)
    delete_user(user=earlier, actor=None)

    new = make_user(username="ann", email="ann@example.com")

    page = browser.get(page_of(new)).content.decode()
    assert "Nobody has tried to sign in as this user yet." in page
    assert "Nothing was changed yet." in page


def test_page_leaves_out_times_of_a_key_that_were_not_kept(staff):
    browser, user = staff(Role.ADMIN), make_user()
    make_api_key(user)
    now = timezone.now()
    for made_at, used_at in ((now, now), (now, None), (None, now), (None, None)):
        User.objects.update(api_key_created_at=made_at, api_key_last_used_at=used_at)
        page = browser.get(page_of(user)).content.decode()
        assert user.api_key_hint in page
        told = [text in page for text in ("Key made", "Key last used")]
        assert told == [made_at is not None, bool(made_at or used_at)]


def test_lock_out_is_shown_and_released_by_admins_with_one_audit_row(staff):
    user = make_user()
    fail(user, settings.AXES_FAILURE_LIMIT)
    browser = staff(Role.ADMIN)
    page = browser.get(page_of(user)).content.decode()
    assert "Locked out" in page
    assert f"{user.pk}/release/" in page
    earlier = AuditLog.objects.latest("pk").pk

    url = f"/admin/accounts/user/{user.pk}/release/"
    assert browser.get(url).status_code == 200
    assert lockout.seconds_locked(user.username, ADDRESS) > 0
    assert browser.post(url, {"confirmed": "yes"}).url == page_of(user)

    assert lockout.seconds_locked(user.username, ADDRESS) == 0
    (row,) = AuditLog.objects.filter(pk__gt=earlier)
    assert (row.event_type, row.actor_kind, row.target_label) == (
        AuditEvent.ACCOUNT_UNLOCKED,
        "user",
        user.username,
    )
    page = browser.get(page_of(user)).content.decode()
    assert f"{user.pk}/release/" not in page
    again = browser.post(url, {"confirmed": "yes"}, follow=True).content.decode()
    assert "Nobody has failed to sign in" in again


def test_release_is_of_the_user_and_not_of_one_whose_address_is_its_name(staff):
    named = make_user(username="ann@example.com", email="other@example.com")
    addressed = make_user(username="bob", email="ann@example.com")
    for user in (named, addressed):
        lockout.count_failure(user.username, ADDRESS, "/admin/login/")

    staff(Role.ADMIN).post(f"/admin/accounts/user/{named.pk}/release/", {"confirmed": "yes"})

    assert lockout.failures_of(named) == []
    assert [attempt.username for attempt in lockout.failures_of(addressed)] == ["bob"]


def test_sign_out_everywhere_ends_sessions_and_tokens_and_keeps_the_key(staff):
    user = make_user(role=Role.VIEWER)
    browser, program, keyed = Client(), APIClient(), APIClient()
    browser.force_login(user)
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(user)}")
    keyed.credentials(HTTP_X_API_KEY=make_api_key(user))

    answer = staff(Role.ADMIN).post(
        f"/admin/accounts/user/{user.pk}/sign-out-everywhere/", {"confirmed": "yes"}
    )

    assert answer.url == page_of(user)
    assert browser.get("/admin/").status_code == 302
    assert program.get("/api/v1/auth/me").status_code == 401
    assert keyed.get("/api/v1/auth/me").status_code == 200
    row = AuditLog.objects.latest("pk")
    assert (row.event_type, row.target_label) == ("user_signed_out", user.username)
    assert row.actor_label != user.username


def test_use_of_a_key_is_noted_once_an_hour(count_statements):
    user = make_user(role=Role.VIEWER)
    caller = APIClient()
    caller.credentials(HTTP_X_API_KEY=create_api_key(user=user, actor=None))
    user.refresh_from_db()
    assert (user.api_key_created_at is None, user.api_key_last_used_at) == (False, None)
    used = []
    # 1. the key; and 2. its use, when that was not noted lately
    for statements in (2, 1):
        with count_statements(statements):
            assert caller.get("/api/v1/auth/me/api-key").status_code == 405
        user.refresh_from_db()
        used.append(user.api_key_last_used_at)
    assert used[0] == used[1] is not None
    User.objects.update(api_key_last_used_at=timezone.now() - 2 * KEY_USE_NOTED_EVERY)
    caller.get("/api/v1/auth/me/api-key")
    user.refresh_from_db()
    assert user.api_key_last_used_at > timezone.now() - timedelta(minutes=30)
