from __future__ import annotations

import re

import pytest
from django.urls import reverse

from accounts.enums import Role, SiteAccess
from accounts.keys import digest_of
from accounts.models import SiteMembership, User
from accounts.tests.factories import make_api_key, make_user
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.tests.factories import make_device, make_health_check
from homepot.testing.forms import filled_in
from jobs.tests.factories import make_job
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

LIST = "/admin/accounts/user/"
ADD = f"{LIST}add/"
PASSWORD = "correct horse battery"
FLEET = ("sites/site", "devices/device", "devices/healthcheck", "jobs/job", "audit/auditlog")


def user_page(user: User) -> str:
    return f"{LIST}{user.pk}/change/"


def events_of(user: User) -> list[str]:
    """What the audit log tells of the account, the oldest first."""
    rows = AuditLog.objects.filter(target_type="user", target_label=user.username)
    return list(rows.order_by("id").values_list("event_type", flat=True))


@pytest.mark.parametrize("rows", [1, 3])
def test_list_takes_three_statements(staff, rows, count_statements):
    browser = staff(Role.ADMIN)
    for _ in range(rows):
        make_user()
    # 1. session, 2. account, 3. accounts
    with count_statements(3):
        page = browser.get(LIST)
    assert len(page.context["cl"].result_list) == rows + 1


def test_pages_show_hints_of_keys_and_never_digests(staff):
    user = make_user(password=PASSWORD)
    make_api_key(user)
    browser = staff(Role.ADMIN)
    for path in (LIST, user_page(user)):
        page = browser.get(path).content.decode()
        assert f"{user.api_key_hint}…" in page
        assert user.api_key not in page
        assert user.password not in page


@pytest.mark.parametrize("lookup", ["api_key__startswith", "password__startswith"])
def test_digests_cannot_be_guessed_by_lookups(staff, lookup):
    assert staff(Role.ADMIN).get(LIST, {lookup: "a"}).status_code == 400


def test_add_opens_an_account_with_one_audit_row(staff):
    browser = staff(Role.ADMIN)
    answer = browser.post(
        ADD,
        filled_in(
            browser.get(ADD),
            username="Olga",
            email="Olga@Example.com",
            role="operator",
            password=PASSWORD,
            repeated_password=PASSWORD,
        ),
    )
    user = User.objects.get(username="olga")
    assert answer.url == user_page(user)
    assert (user.email, user.role) == ("olga@example.com", Role.OPERATOR)
    assert user.check_password(PASSWORD)
    assert user.must_change_password
    assert events_of(user) == [AuditEvent.USER_CREATED]


def test_add_without_a_password_opens_an_account_for_a_program(staff):
    browser = staff(Role.ADMIN)
    browser.post(ADD, filled_in(browser.get(ADD), username="till-sync", email="t@example.com"))
    user = User.objects.get(username="till-sync")
    assert not user.has_usable_password()
    assert not user.must_change_password
    assert user.role == Role.NONE


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"username": "taken"}, "already exists"),
        ({"username": "Ünal"}, "Use ASCII letters"),
        ({"email": "nowhere"}, "Enter a valid email address"),
        ({"password": PASSWORD}, "The two passwords differ"),
        ({"password": "12345678", "repeated_password": "12345678"}, "too common"),
        ({"password": "x" * 5000, "repeated_password": "x" * 5000}, "at most 4,096"),
    ],
)
def test_add_refuses_bad_input(staff, fields, complaint):
    make_user(username="taken")
    browser = staff(Role.ADMIN)
    values = {"username": "olga", "email": "olga@example.com"} | fields
    page = browser.post(ADD, filled_in(browser.get(ADD), **values))
    assert page.status_code == 200
    assert complaint in page.content.decode()
    assert PASSWORD not in page.content.decode()
    assert not User.objects.filter(username="olga").exists()


def test_change_of_the_role_leaves_one_audit_row(staff):
    user = make_user(role=Role.VIEWER)
    browser = staff(Role.ADMIN)
    browser.post(user_page(user), filled_in(browser.get(user_page(user)), role="operator"))
    user.refresh_from_db()
    assert user.role == Role.OPERATOR
    assert events_of(user) == [AuditEvent.USER_ROLE_CHANGED]


def test_change_of_role_and_name_is_one_row(staff):
    user = make_user(role=Role.VIEWER)
    browser = staff(Role.ADMIN)
    data = filled_in(browser.get(user_page(user)), role="admin", full_name="Ann")
    browser.post(user_page(user), data)
    user.refresh_from_db()
    assert (user.role, user.is_admin, user.full_name) == (Role.ADMIN, True, "Ann")
    assert events_of(user) == [AuditEvent.USER_UPDATED]


def test_change_selects_the_sites_of_an_account(staff):
    site = make_site()
    user = make_user()
    browser = staff(Role.ADMIN)
    data = filled_in(browser.get(user_page(user)), site_access="selected", sites=[site.pk])
    browser.post(user_page(user), data)
    user.refresh_from_db()
    assert user.site_access == SiteAccess.SELECTED
    assert [entry.site for entry in SiteMembership.objects.filter(user=user)] == [site]
    assert events_of(user) == [AuditEvent.USER_SITES_CHANGED]

    again = browser.get(user_page(user))
    assert str(site) in again.content.decode()
    browser.post(user_page(user), filled_in(again, sites=[]))
    assert not SiteMembership.objects.exists()


def test_change_cannot_change_the_username(staff):
    user = make_user(username="olga")
    browser = staff(Role.ADMIN)
    browser.post(user_page(user), filled_in(browser.get(user_page(user)), username="other"))
    user.refresh_from_db()
    assert user.username == "olga"


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_active": False}])
def test_last_admin_cannot_be_lost(staff, change):
    browser = staff(Role.ADMIN)
    user = User.objects.get()
    page = browser.post(user_page(user), filled_in(browser.get(user_page(user)), **change))
    assert page.status_code == 200
    assert "make somebody else an admin first" in page.content.decode()
    user.refresh_from_db()
    assert (user.role, user.is_active) == (Role.ADMIN, True)


def test_accounts_are_not_deleted_here(staff):
    user = make_user()
    browser = staff(Role.ADMIN)
    assert browser.post(f"{LIST}{user.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=user.pk).exists()


def test_admin_gives_a_password_that_is_good_for_one_sign_in(staff, client):
    user = make_user()
    browser = staff(Role.ADMIN)
    url = reverse("admin:auth_user_password_change", args=[user.pk])
    assert browser.get(url).status_code == 200
    data = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    answer = browser.post(url, data | {"set-password": ""})
    assert answer.url == user_page(user)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert user.must_change_password
    assert events_of(user) == [AuditEvent.PASSWORD_CHANGED]
    assert AuditLog.objects.get(target_label=user.username).user == answer.wsgi_request.user


def test_account_with_a_given_password_can_only_change_it(client):
    user = make_user(role=Role.ADMIN, password=PASSWORD, must_change_password=True)
    client.force_login(user)
    for path in ("/admin/", LIST, "/admin/devices/device/"):
        assert client.get(path).url == "/admin/password_change/"
    page = client.get("/admin/password_change/")
    assert "An admin set your password; choose your own before you go on." in page.text
    new = "another horse battery"
    done = client.post(
        "/admin/password_change/",
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
        follow=True,
    )
    assert 'href="/admin/"' in done.text
    assert "Go on to the overview" in done.text
    assert "An admin set" not in client.get("/admin/password_change/").text
    # Signed in still, and let in now.
    assert client.get("/admin/").status_code == 200
    user.refresh_from_db()
    assert user.check_password(new)
    assert not user.must_change_password
    assert AuditEvent.PASSWORD_CHANGED in events_of(user)


def test_new_api_key_is_shown_once(staff):
    user = make_user()
    browser = staff(Role.ADMIN)
    url = f"{LIST}{user.pk}/create-api-key/"
    assert browser.get(url).status_code == 200
    user.refresh_from_db()
    assert user.api_key is None

    answer = browser.post(url, {"confirmed": "yes", "lifetime": "90"})
    key = re.search(r"hpk_[\w-]{43}", answer.content.decode())[0]
    assert "no-store" in answer["Cache-Control"]
    user.refresh_from_db()
    assert user.api_key == digest_of(key)
    page = browser.get(user_page(user)).text
    assert f"ends on {user.api_key_expires_at:%Y-%m-%d}, in 90 days" in page
    assert key not in page
    assert events_of(user) == [AuditEvent.API_KEY_CREATED]


def test_api_key_is_revoked_after_a_question(staff):
    user = make_user()
    make_api_key(user)
    browser = staff(Role.ADMIN)
    url = f"{LIST}{user.pk}/revoke-api-key/"
    assert "refused from then on" in browser.get(url).content.decode()
    assert browser.post(url, {"confirmed": "yes"}).url == user_page(user)
    user.refresh_from_db()
    assert user.api_key is None
    assert events_of(user) == [AuditEvent.API_KEY_REVOKED]
    assert "revoke-api-key" not in browser.get(user_page(user)).content.decode()
    again = browser.post(url, {"confirmed": "yes"}, follow=True)
    assert "has no API key" in again.content.decode()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_accounts_are_for_admins(staff, role):
    user = make_user()
    browser = staff(role)
    for path in (
        LIST,
        ADD,
        user_page(user),
        f"{LIST}{user.pk}/create-api-key/",
        f"{LIST}{user.pk}/history/",
        reverse("admin:auth_user_password_change", args=[user.pk]),
    ):
        assert browser.get(path).status_code == 403
        assert browser.post(path, {"confirmed": "yes"}).status_code == 403
    assert LIST not in browser.get("/admin/").content.decode()


def test_account_without_a_role_is_not_let_in(client):
    client.force_login(make_user(role=Role.NONE))
    for path in ("/admin/", LIST, *(f"/admin/{path}/" for path in FLEET)):
        assert client.get(path).url.startswith("/admin/login/")


def test_groups_do_not_appear(staff):
    browser = staff(Role.ADMIN)
    assert browser.get("/admin/auth/group/").status_code == 404
    assert "Groups" not in browser.get("/admin/").content.decode()


def test_scoped_viewer_sees_the_rows_of_selected_sites_only(staff, client):
    own, foreign = make_device(), make_device()
    for device in (own, foreign):
        make_health_check(device=device)
        make_job(site=device.site)
    user = make_user(site_access=SiteAccess.SELECTED)
    SiteMembership.objects.create(user=user, site=own.site)
    client.force_login(user)
    for path in FLEET[:4]:
        page = client.get(f"/admin/{path}/")
        assert len(page.context["cl"].result_list) == 1, path
    assert client.get(f"/admin/devices/device/{foreign.pk}/change/").status_code == 404
    # Not even its name, in the filter that was asked for it.
    filtered = client.get("/admin/devices/device/", {"site__id__exact": foreign.site.pk})
    assert foreign.site.name not in filtered.content.decode()
    offered = client.get(
        "/admin/autocomplete/",
        {"app_label": "devices", "model_name": "device", "field_name": "site"},
    )
    assert [result["id"] for result in offered.json()["results"]] == [str(own.site.pk)]


def test_history_of_an_account_is_its_part_of_the_log(staff):
    user = make_user(username="olga")
    browser = staff(Role.ADMIN)
    browser.post(user_page(user), filled_in(browser.get(user_page(user)), full_name="Olga"))
    history = browser.get(f"{LIST}{user.pk}/history/", follow=True)
    assert [row.event_type for row in history.context["cl"].result_list] == ["user_updated"]
