from __future__ import annotations

import pytest
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from knox.models import AuthToken

from accounts import lockout
from accounts.enums import Role
from accounts.tests.factories import make_user
from audit.models import AuditLog

pytestmark = pytest.mark.django_db

LIST = "/admin/axes/accessattempt/"


def fail(name: str, times: int = 5) -> AccessAttempt:
    for _ in range(times):
        lockout.count_failure(name, "192.0.2.7", "/admin/login/")
    return AccessAttempt.objects.get(username=name)


def test_admins_see_who_is_locked_out(staff):
    fail("ann")
    fail("bob", times=4)
    page = staff(Role.ADMIN).get(f"{LIST}?q=192.0.2").content.decode()
    assert "ann" in page
    assert "bob" in page
    assert lockout.seconds_locked("ann", "192.0.2.7") > 890
    assert lockout.locked_until(AccessAttempt.objects.get(username="ann")) is not None
    assert lockout.locked_until(AccessAttempt.objects.get(username="bob")) is None


@pytest.mark.parametrize("rows", [1, 3])
def test_list_takes_constant_statements(staff, rows, count_statements):
    for number in range(rows):
        fail(f"name-{number}")
    browser = staff(Role.ADMIN)
    # 1. the session, 2. its account, 3. the rows
    with count_statements(3):
        assert browser.get(LIST).status_code == 200


def test_admins_release_the_selected(staff):
    make_user(username="ann")
    chosen, other = fail("ann"), fail("bob")
    form = {"action": "release_selected", ACTION_CHECKBOX_NAME: chosen.pk}
    assert staff(Role.ADMIN).post(LIST, form).status_code == 302
    assert list(AccessAttempt.objects.all()) == [other]
    row = AuditLog.objects.get()
    assert (row.event_type, row.actor_kind, row.target_label) == (
        "account_unlocked",
        "user",
        "ann",
    )


def test_nothing_else_can_be_done_to_them(staff):
    attempt = fail("ann")
    browser = staff(Role.ADMIN)
    page = f"{LIST}{attempt.pk}/"
    assert browser.get(f"{page}change/").status_code == 200
    for path in (f"{LIST}add/", f"{page}delete/", f"{page}change/"):
        assert browser.post(path, {"failures_since_start": 0}).status_code == 403
    assert AccessAttempt.objects.get().failures_since_start == 5
    assert not AuditLog.objects.exclude(event_type="permission_refused").exists()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_admins_see_them(staff, role):
    attempt = fail("ann")
    browser = staff(role)
    form = {"action": "release_selected", ACTION_CHECKBOX_NAME: attempt.pk}
    assert browser.get(LIST).status_code == 403
    assert browser.post(LIST, form).status_code == 403
    assert "Failed sign-ins" not in browser.get("/admin/").content.decode()


def test_tokens_have_no_page():
    assert not admin.site.is_registered(AuthToken)
