from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from accounts import services
from accounts.enums import Role
from accounts.hashers import MAX_PASSWORD_LENGTH
from accounts.models import User
from accounts.tests.factories import make_user
from audit.models import AuditLog
from homepot.errors import IdentifierTakenError

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("given", "role", "is_admin"),
    [
        ({}, Role.NONE, False),
        ({"is_admin": True}, Role.ADMIN, True),
        ({"is_admin": False}, Role.NONE, False),
        ({"role": Role.ADMIN}, Role.ADMIN, True),
        ({"role": Role.OPERATOR}, Role.OPERATOR, False),
        ({"role": Role.ADMIN, "is_admin": True}, Role.ADMIN, True),
    ],
)
def test_new_account_derives_role_and_is_admin_from_each_other(given, role, is_admin):
    user = User.objects.create_user("ann", "ann@example.com", **given)
    user.refresh_from_db()
    assert (user.role, user.is_admin) == (role, is_admin)


@pytest.mark.parametrize(
    ("before", "change", "role", "is_admin"),
    [
        (Role.VIEWER, {"role": Role.ADMIN}, Role.ADMIN, True),
        (Role.VIEWER, {"is_admin": True}, Role.ADMIN, True),
        (Role.ADMIN, {"is_admin": False}, Role.VIEWER, False),
        (Role.ADMIN, {"role": Role.OPERATOR}, Role.OPERATOR, False),
        (Role.OPERATOR, {"full_name": "Ann"}, Role.OPERATOR, False),
    ],
)
@pytest.mark.parametrize("names_fields", [True, False])
def test_saved_account_keeps_role_and_is_admin_in_line(
    before, change, role, is_admin, names_fields
):
    user = User.objects.get(pk=make_user(role=before).pk)
    for name, value in change.items():
        setattr(user, name, value)
    user.save(update_fields=list(change) if names_fields else None)
    user.refresh_from_db()
    assert (user.role, user.is_admin) == (role, is_admin)


def test_contradiction_is_refused_in_python_and_in_the_database():
    with pytest.raises(ValueError, match="contradicts"):
        User(username="ann", email="a@example.com", role=Role.VIEWER, is_admin=True).save()
    user = make_user(role=Role.ADMIN)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_admin=False)


def test_deferred_role_is_left_alone():
    make_user(role=Role.ADMIN, username="ann")
    user = User.objects.only("username").get()
    user.full_name = "Ann"
    user.save(update_fields=["full_name"])
    assert User.objects.get().is_admin


def test_username_and_email_have_one_spelling():
    # U+FF21 is a full-width A, U+00DF folds to ss.
    user = User.objects.create_user("\uff21nn", "Stra\u00dfe@Example.COM")
    assert (user.username, user.email) == ("ann", "strasse@example.com")
    assert User.objects.get_by_natural_key("ANN") == user
    assert User.objects.filter(email="STRASSE@example.com").exists()
    with pytest.raises(IdentifierTakenError) as refused:
        User.objects.create_user("aNN", "other@example.com")
    assert list(refused.value.errors or {}) == ["username"]
    with pytest.raises(IntegrityError), transaction.atomic():
        User(username="ANN", email="third@example.com").save()


@pytest.mark.parametrize("username", ["", "ünal", "a b", "a\0b", "-ann", "x" * 51])
def test_odd_usernames_are_refused(username):
    with pytest.raises(ValidationError):
        User.objects.create_user(username, "ann@example.com")


def test_passwords_are_argon2_with_our_parameters():
    user = make_user(password="correct horse battery")
    assert user.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert user.check_password("correct horse battery")
    assert not user.check_password("wrong")


def test_longest_password_works_and_one_longer_is_refused(client):
    password = "é" * MAX_PASSWORD_LENGTH
    user = make_user(username="ann", password=password, role=Role.VIEWER)
    assert client.login(username="Ann", password=password)
    assert not client.login(username="ann", password=password + "x")
    assert not client.login(username="nobody", password=password + "x")
    with pytest.raises(ValidationError):
        user.set_password(password + "x")


def test_password_column_keeps_the_original_name():
    with connection.cursor() as cursor:
        columns = {
            column.name
            for column in connection.introspection.get_table_description(cursor, "users")
        }
    assert {"hashed_password", "api_key", "is_admin", "site_access"} <= columns


def test_createsuperuser_opens_an_audited_admin(monkeypatch, capsys):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")
    call_command("createsuperuser", "--noinput", username="Root", email="Root@example.com")
    user = User.objects.get(username="root")
    assert (user.role, user.is_staff) == (Role.ADMIN, True)
    row = AuditLog.objects.get()
    assert (row.event_type, row.actor_kind, row.target_label) == (
        "user_created",
        "system",
        "root",
    )
    assert "argon2" not in str(row.new_values)


def test_createsuperuser_refuses_a_password_that_is_too_long(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "x" * (MAX_PASSWORD_LENGTH + 1))
    with pytest.raises(CommandError, match="4,096"):
        call_command("createsuperuser", "--noinput", username="root", email="r@example.com")
    assert not User.objects.exists()


def test_create_api_key_prints_the_key_alone(capsys, api):
    user = make_user(username="ann")
    call_command("create_api_key", "ANN")
    output = capsys.readouterr().out
    key = output.removesuffix("\n")
    assert (len(key), key[:4], "\n" in key) == (47, "hpk_", False)

    user.refresh_from_db()
    assert user.api_key_hint == key[:8]
    assert key not in (user.api_key, *AuditLog.objects.values_list("new_values", flat=True))
    api.credentials(HTTP_X_API_KEY=key)
    assert api.get("/api/v1/sites/sites").status_code == 200

    call_command("create_api_key", "ann")
    assert api.get("/api/v1/sites/sites").status_code == 401
    assert [row.event_type for row in AuditLog.objects.all()] == ["api_key_created"] * 2


def test_audit_names_the_key_that_a_new_one_ended():
    user = make_user()
    stale = User.objects.get(pk=user.pk)
    hints = [services.create_api_key(user=one, actor=None)[:8] for one in (user, stale)]
    changes = AuditLog.objects.order_by("id").values_list("old_values", "new_values")
    assert list(changes) == [
        ({"api_key_hint": ""}, {"api_key_hint": hints[0]}),
        ({"api_key_hint": hints[0]}, {"api_key_hint": hints[1]}),
    ]


def test_create_api_key_of_nobody_is_refused():
    with pytest.raises(CommandError, match="no account 'nobody'"):
        call_command("create_api_key", "nobody")
