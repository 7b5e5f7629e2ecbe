from __future__ import annotations

import threading

import pytest
from django.db import connections

from accounts import services
from accounts.enums import Role, SiteAccess
from accounts.errors import LastAdminError
from accounts.models import SiteMembership, User
from accounts.tests.factories import make_user
from audit.models import AuditLog
from sites.models import Site
from sites.tests.factories import make_site

USERS = "/api/v1/auth/users"


@pytest.fixture
def admin(api_as):
    return api_as(Role.ADMIN)


@pytest.mark.django_db
@pytest.mark.parametrize("rows", [1, 3, 300])
def test_user_list_takes_three_statements(admin, rows, count_statements):
    site = make_site()
    for _ in range(rows - 1):
        SiteMembership.objects.create(user=make_user(), site=site)
    # 1. the caller's key, 2. the accounts, 3. their sites
    with count_statements(3):
        answer = admin.get(USERS, {"limit": 1000})
    assert len(answer.json()["users"]) == rows


@pytest.mark.django_db
def test_user_create_opens_a_scoped_account(admin):
    site = make_site()
    answer = admin.post(
        USERS,
        {
            "username": "Ann",
            "email": "Ann@Example.com",
            "role": "operator",
            "site_access": "selected",
            "site_ids": [site.site_id],
            "password": "correct horse battery",
        },
    )

    assert answer.status_code == 201, answer.content
    user = User.objects.get(username="ann")
    assert answer.json() == {
        "id": user.pk,
        "username": "ann",
        "email": "ann@example.com",
        "full_name": "",
        "role": "operator",
        "is_admin": False,
        "is_active": True,
        "site_access": "selected",
        "site_ids": [site.site_id],
        "must_change_password": True,
        "api_key_hint": "",
        "api_key_created_at": None,
        "api_key_last_used_at": None,
        "api_key_expires_at": None,
        "last_login": None,
        "created_at": user.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": user.updated_at.isoformat().replace("+00:00", "Z"),
    }
    assert admin.get(f"{USERS}/{user.pk}").json() == answer.json()
    assert user.check_password("correct horse battery")
    assert AuditLog.objects.get().event_type == "user_created"
    assert "argon2" not in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"username": "TAKEN"}, 409, "username"),
        ({"email": "Taken@example.com"}, 409, "email"),
        ({"username": "a b"}, 400, "username"),
        ({"email": "nonsense"}, 400, "email"),
        ({"password": "short"}, 400, "password"),
        ({"password": "x" * 4097}, 400, "password"),
        ({"role": "root"}, 400, "role"),
        ({"site_ids": ["site-none"]}, 400, "site_ids"),
    ],
)
def test_user_create_refuses(admin, change, status, field):
    make_user(username="taken", email="taken@example.com")
    body = {"username": "ann", "email": "ann@example.com"} | change

    answer = admin.post(USERS, body)

    assert (answer.status_code, list(answer.json()["errors"])) == (status, [field])
    assert User.objects.count() == 2
    assert not AuditLog.objects.exists()


@pytest.mark.django_db
def test_user_patch_changes_sites_and_fields_with_one_audit_row(admin):
    one, two = make_site(site_id="site-1"), make_site(site_id="site-2")
    user = make_user()
    SiteMembership.objects.create(user=user, site=one)

    answer = admin.patch(f"{USERS}/{user.pk}", {"site_access": "selected", "site_ids": ["site-2"]})

    assert answer.json()["site_ids"] == ["site-2"]
    assert [membership.site for membership in user.site_memberships.all()] == [two]
    row = AuditLog.objects.get()
    assert (row.event_type, row.old_values, row.new_values) == (
        "user_sites_changed",
        {"site_access": "all", "sites": ["site-1"]},
        {"site_access": "selected", "sites": ["site-2"]},
    )


@pytest.mark.django_db
def test_role_endpoint_assigns_the_role(admin):
    user = make_user(role=Role.NONE)

    answer = admin.put(f"{USERS}/{user.pk}/role", {"role": "operator"})

    assert (answer.status_code, answer.json()["role"]) == (200, "operator")
    row = AuditLog.objects.get()
    assert (row.event_type, row.target_label) == ("user_role_changed", user.username)
    assert admin.put(f"{USERS}/{user.pk}/role", {"role": "operator"}).status_code == 200
    assert AuditLog.objects.count() == 1
    assert admin.put(f"{USERS}/{user.pk}/role", {"role": "root"}).status_code == 400
    assert admin.put(f"{USERS}/999999/role", {"role": "viewer"}).status_code == 404
    assert admin.patch(f"{USERS}/{user.pk}", {"role": "admin"}).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["demote", "deactivate", "delete"])
def test_last_active_admin_stays(admin, method):
    me = User.objects.get()
    make_user(role=Role.ADMIN, is_active=False)

    if method == "demote":
        answer = admin.put(f"{USERS}/{me.pk}/role", {"role": "viewer"})
    elif method == "deactivate":
        answer = admin.patch(f"{USERS}/{me.pk}", {"is_active": False})
    else:
        answer = admin.delete(f"{USERS}/{me.pk}")

    assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    me.refresh_from_db()
    assert (me.is_active, me.role) == (True, Role.ADMIN)
    assert not AuditLog.objects.exists()


@pytest.mark.django_db
def test_user_delete_keeps_its_history(admin, api):
    user = make_user(username="ann")
    assert admin.delete(f"{USERS}/{user.pk}").status_code == 204
    row = AuditLog.objects.get()
    assert (row.event_type, row.target_label, row.old_values["username"]) == (
        "user_deleted",
        "ann",
        "ann",
    )


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.NONE, Role.VIEWER, Role.OPERATOR])
def test_only_admins_manage_accounts(api_as, role):
    api, other = api_as(role), make_user()
    assert api.get(USERS).status_code == 403
    assert api.get(f"{USERS}/{other.pk}").status_code == 403
    assert api.put(f"{USERS}/{other.pk}/role", {"role": "admin"}).status_code == 403
    assert api.post(USERS, {"username": "new", "email": "n@example.com"}).status_code == 403


# Two transactions at once: a test in one transaction could not show it.
@pytest.mark.django_db(transaction=True)
def test_two_admins_cannot_demote_each_other_at_once():
    admins = [make_user(role=Role.ADMIN), make_user(role=Role.ADMIN)]
    barrier = threading.Barrier(2)
    refused = []

    def demote(user: User) -> None:
        try:
            barrier.wait()
            services.change_role(user=user, role=Role.VIEWER, actor=None)
        except LastAdminError as error:
            refused.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=demote, args=[user]) for user in admins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    assert User.objects.filter(role=Role.ADMIN).count() == 1


@pytest.mark.django_db
def test_admins_see_all_sites_whatever_their_access():
    make_site()
    admin = make_user(role=Role.ADMIN, site_access=SiteAccess.SELECTED)
    assert Site.objects.visible_to(admin).count() == 1
