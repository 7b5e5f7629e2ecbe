from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts import services, sign_in
from accounts.enums import Role
from accounts.errors import CredentialsChangedError
from accounts.models import User
from accounts.tests.factories import make_api_key, make_token, make_user
from audit.models import AuditLog
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

AUTH = "/api/v1/auth"
ME = f"{AUTH}/me"
SITES = "/api/v1/sites/sites"
PASSWORD = "correct horse battery"
ANN = {"username": "ann", "email": "ann@example.com", "password": PASSWORD}


def events() -> list[str]:
    return list(AuditLog.objects.order_by("id").values_list("event_type", flat=True))


def bearer(token: str) -> APIClient:
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return api


@pytest.fixture
def hashes(monkeypatch):
    """A list with an entry for each password that was hashed."""
    made: list[str] = []
    for name in ("encode", "verify"):
        hash = getattr(Argon2PasswordHasher, name)

        def counted(self, *args, hash=hash, name=name):
            made.append(name)
            return hash(self, *args)

        monkeypatch.setattr(Argon2PasswordHasher, name, counted)
    return made


# Signing up


def test_sign_up_opens_an_account_that_may_see_itself(api):
    answer = api.post(f"{AUTH}/signup", {**ANN, "full_name": "Ann Ü. 🥐"})

    assert answer.status_code == 201, answer.content
    token = answer.json()["data"].pop("access_token")
    assert answer.json() == {
        "success": True,
        "message": "The account is open. An admin has to give it a role.",
        "data": {"expires_in": 43_200, "username": "ann", "role": "none", "is_admin": False},
    }
    assert bearer(token).get(ME).json()["full_name"] == "Ann Ü. 🥐"
    assert bearer(token).get(SITES).status_code == 403
    row = AuditLog.objects.exclude(event_type="permission_refused").get()
    assert (row.event_type, row.actor_label, row.target_label) == ("user_created", "ann", "ann")


@pytest.mark.parametrize(
    "wish", [{"role": "admin"}, {"is_admin": True}, {"is_active": False, "id": 1}]
)
def test_sign_up_ignores_wishes_for_more(api, wish):
    assert api.post(f"{AUTH}/signup", ANN | wish).status_code == 201
    user = User.objects.get()
    assert (user.role, user.is_admin, user.is_active) == (Role.NONE, False, True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "ANN"}, "username"),
        ({"username": " ann "}, "username"),
        ({"username": "\uff21nn"}, "username"),  # a full-width A
        ({"email": "Strasse@Example.com"}, "email"),
        ({"email": "\uff33trasse@example.com"}, "email"),
    ],
)
def test_sign_up_refuses_names_taken_in_any_spelling(api, change, field):
    make_user(username="ann", email="strasse@example.com")
    free = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}

    answer = api.post(f"{AUTH}/signup", free | change)

    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
    assert list(answer.json()["errors"]) == [field]
    assert User.objects.count() == 1
    assert events() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "a b"}, "username"),
        ({"username": "x" * 51}, "username"),
        ({"username": "\ufdfa" * 4}, "username"),  # 18 letters each, once canonical
        ({"email": "ann"}, "email"),
        ({"email": "x" * 100 + "@example.com"}, "email"),
        ({"full_name": "a\tb"}, "full_name"),
        ({"full_name": "x" * 101}, "full_name"),
        ({"password": "short"}, "password"),
        ({"password": "12345678901"}, "password"),
        ({"password": 1234567890}, "password"),
        ({"password": "password"}, "password"),
        ({"password": "ann@example.com"}, "password"),
        ({"password": "é" * 4097}, "password"),
        ({"password": None}, "password"),
        ({"username": None}, "username"),
    ],
)
def test_sign_up_checks_its_input(api, hashes, change, field):
    answer = api.post(f"{AUTH}/signup", ANN | change)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert hashes == []
    assert not User.objects.exists()


def test_sign_up_can_be_closed(api, settings):
    settings.AUTH_SIGNUP = "closed"
    answer = api.post(f"{AUTH}/signup", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "signup_closed")


@pytest.mark.django_db(transaction=True)
def test_parallel_sign_ups_with_one_name_open_one_account():
    statuses = []

    def sign_up() -> None:
        try:
            statuses.append(APIClient().post(f"{AUTH}/signup", ANN).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=sign_up) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [201] + [409] * 5
    assert events() == ["user_created"]


# Signing in


@pytest.mark.parametrize(
    "name",
    [
        {"username": "ann"},
        {"username": "ANN "},
        {"username": "\uff21nn"},
        {"username": "Ann@Example.COM"},
        {"email": "ann@example.com"},
    ],
)
def test_sign_in_takes_username_or_address_in_any_spelling(api, name):
    user = make_user(**ANN, role=Role.OPERATOR)

    answer = api.post(f"{AUTH}/login", {**name, "password": PASSWORD})

    assert answer.status_code == 200, answer.content
    token = answer.json()["data"].pop("access_token")
    assert answer.json() == {
        "success": True,
        "message": "Signed in.",
        "data": {"expires_in": 43_200, "username": "ann", "role": "operator", "is_admin": False},
    }
    assert bearer(token).get(SITES).status_code == 200
    user.refresh_from_db()
    assert user.last_login is not None
    row = AuditLog.objects.get()
    assert (row.event_type, row.user_id, row.ip_address) == ("user_signed_in", user.pk, "127.0.0.1")


def test_an_address_wins_over_a_username_that_looks_like_it(api):
    make_user(username="ann@example.com", email="mallory@example.com", password="something else")
    make_user(**ANN)
    answer = api.post(f"{AUTH}/login", {"username": "ann@example.com", "password": PASSWORD})
    assert answer.json()["data"]["username"] == "ann"


@pytest.mark.parametrize(
    ("account", "name", "password"),
    [
        ({"username": "ann", "password": PASSWORD}, "bob", PASSWORD),
        ({"username": "ann", "password": PASSWORD}, "ann", "wrong"),
        ({"username": "ann", "password": PASSWORD}, "ann", f"{PASSWORD} "),
        ({"username": "ann", "password": PASSWORD, "is_active": False}, "ann", PASSWORD),
        ({"username": "ann", "password": None}, "ann", PASSWORD),
        ({"username": "ann", "password": None}, "ann@example.com\t🥐", PASSWORD),
    ],
)
def test_refused_sign_ins_differ_in_nothing(api, hashes, count_statements, account, name, password):
    make_user(**account)
    hashes.clear()

    answer = api.post(f"{AUTH}/login", {"username": name, "password": password})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'
    assert answer.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "The name or the password is wrong.",
        "code": "invalid_credentials",
    }
    assert len(hashes) == 1
    assert events() == ["sign_in_refused"]


def test_passwords_that_are_too_long_are_refused_without_a_hash(api, hashes):
    answer = api.post(f"{AUTH}/login", {"username": "ann", "password": "x" * 4097})
    assert (answer.status_code, hashes) == (401, [])


@pytest.mark.parametrize(
    "password", ["é" * 4096, "12 45 78", "  white  space  ", "パスワードを忘れた🥐"]
)
def test_passwords_of_any_script_sign_in(api, password):
    assert api.post(f"{AUTH}/signup", ANN | {"password": password}).status_code == 201
    for typed, status in ((password, 200), (password[:-1], 401), (f"{password} ", 401)):
        answer = api.post(f"{AUTH}/login", {"username": "ann", "password": typed})
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "username"),
        ({"username": "", "password": PASSWORD}, "username"),
        ({"username": "x" * 255, "password": PASSWORD}, "username"),
        ({"username": "ann"}, "password"),
        ({"username": "ann", "password": ""}, "password"),
        ({"username": "ann", "password": ["x"]}, "password"),
    ],
)
def test_sign_in_checks_its_input(api, body, field):
    answer = api.post(f"{AUTH}/login", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert events() == []


def test_no_credential_is_read_from_a_url(api):
    make_user(**ANN)
    answer = api.post(f"{AUTH}/login?username=ann&password={PASSWORD}", {})
    assert answer.status_code == 400


def test_sign_in_needs_no_session_and_minds_none(api):
    make_user(**ANN)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_user())
    api.credentials(HTTP_AUTHORIZATION="Bearer hpt_ended", HTTP_X_API_KEY="hpk_ended")
    body = {"username": "ann", "password": PASSWORD}

    for caller in (api, browser):
        answer = caller.post(f"{AUTH}/login", body, content_type="application/json")
        assert answer.status_code == 200
        assert "sessionid" not in answer.cookies


@pytest.mark.parametrize("path", ["signup", "login"])
def test_other_methods_are_not_allowed(api, path):
    assert api.get(f"{AUTH}/{path}").status_code == 405


def test_sign_in_removes_expired_tokens_of_its_account(api):
    ann, bob = make_user(**ANN), make_user()
    for user in (ann, bob):
        make_token(user)
        make_token(user)
    long_ago = timezone.now() - timedelta(seconds=1)
    for user in (ann, bob):
        AuthToken.objects.filter(pk=user.auth_token_set.first().pk).update(expiry=long_ago)

    api.post(f"{AUTH}/login", ANN)

    assert (ann.auth_token_set.count(), bob.auth_token_set.count()) == (2, 2)
    assert not ann.auth_token_set.filter(expiry__lte=timezone.now()).exists()


def test_sign_in_loses_against_a_password_changed_meanwhile():
    user = make_user(**ANN)
    services.set_password(user=User.objects.get(), password="another one", actor=None)
    with pytest.raises(CredentialsChangedError):
        sign_in.sign_in(user=user, address="127.0.0.1")
    assert not AuthToken.objects.exists()


def test_sign_in_leaves_nothing_when_it_fails_after_the_change(monkeypatch):
    user = make_user(**ANN)

    def fail(**kwargs):
        raise RuntimeError("no audit")

    monkeypatch.setattr(sign_in.audit, "record", fail)
    with pytest.raises(RuntimeError):
        sign_in.sign_in(user=user, address="127.0.0.1")
    with pytest.raises(RuntimeError):
        sign_in.sign_up(username="bob", email="bob@example.com", password=PASSWORD)
    assert not AuthToken.objects.exists()
    assert User.objects.get().last_login is None


def test_one_time_password_signs_in_to_choose_another(api):
    admin, user = make_user(role=Role.ADMIN), make_user(username="ann", role=Role.OPERATOR)
    services.set_password(user=user, password="one time only", actor=admin)

    data = api.post(f"{AUTH}/login", {"username": "ann", "password": "one time only"}).json()[
        "data"
    ]

    assert data["must_change_password"] is True
    api = bearer(data["access_token"])
    assert api.get(SITES).status_code == 403
    assert api.get(ME).json()["must_change_password"] is True
    change = {"current_password": "one time only", "new_password": PASSWORD}
    assert api.post(f"{ME}/password", change).status_code == 204
    assert api.get(SITES).status_code == 200


# Tokens


@pytest.mark.parametrize("path", [SITES, f"{SITES}/site-001"])
def test_reading_by_token_takes_two_statements(path, count_statements):
    make_site(site_id="site-001")
    api = bearer(make_token(make_user(role=Role.VIEWER)))
    # 1. the token with its account, 2. the rows
    with count_statements(2):
        assert api.get(path).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer hpt_wrong",
        "bearer " + "x" * 10_000,
        "Bearer two words",
        "Bearer caf\u00e9",
    ],
)
def test_unknown_tokens_are_refused_without_fallback(api, authorization):
    api.force_login(make_user(role=Role.ADMIN))
    api.credentials(HTTP_AUTHORIZATION=authorization)
    answer = api.get(SITES)
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


def test_other_schemes_are_somebody_elses(api):
    # A proxy in front may want its own.
    api.credentials(
        HTTP_AUTHORIZATION="Basic YTpi", HTTP_X_API_KEY=make_api_key(make_user(role=Role.VIEWER))
    )
    assert api.get(SITES).status_code == 200


@pytest.mark.parametrize("change", ["expired", "inactive", "deleted account"])
def test_tokens_end(change):
    user = make_user(role=Role.VIEWER)
    api = bearer(make_token(user))
    assert api.get(SITES).status_code == 200
    match change:
        case "expired":
            AuthToken.objects.update(expiry=timezone.now())
        case "inactive":
            User.objects.update(is_active=False)
        case "deleted account":
            services.delete_user(user=user, actor=None)
    assert api.get(SITES).status_code == 401


def test_the_stored_digest_is_no_token():
    make_token(make_user(role=Role.VIEWER))
    stored = AuthToken.objects.get()
    for value in (stored.digest, stored.token_key):
        assert bearer(value).get(SITES).status_code == 401


# Signing out


def test_sign_out_ends_the_token_it_came_with():
    user = make_user()
    api, other = bearer(make_token(user)), bearer(make_token(user))
    assert api.post(f"{AUTH}/logout").status_code == 204
    assert (api.get(ME).status_code, other.get(ME).status_code) == (401, 200)
    assert events() == ["user_signed_out"]


def test_sign_out_ends_the_session_it_came_with(client):
    user = make_user()
    client.force_login(user)
    other = bearer(make_token(user))
    assert client.post(f"{AUTH}/logout").status_code == 204
    assert (client.get(ME).status_code, other.get(ME).status_code) == (401, 200)
    assert not Session.objects.exists()
    assert events() == ["user_signed_out"]


def test_an_api_key_has_nothing_to_sign_out(api):
    api.credentials(HTTP_X_API_KEY=make_api_key(make_user()))
    answer = api.post(f"{AUTH}/logout")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_sign_out")
    assert events() == []


def test_sign_out_everywhere_ends_tokens_and_sessions_of_the_account_alone(client):
    ann, bob = make_user(), make_user()
    client.force_login(ann)
    callers = [bearer(make_token(ann)), bearer(make_token(ann)), client]
    stranger = bearer(make_token(bob))

    assert callers[0].post(f"{AUTH}/logout-all").status_code == 204

    assert [caller.get(ME).status_code for caller in callers] == [401] * 3
    assert stranger.get(ME).status_code == 200
    assert events() == ["user_signed_out"]


def test_sessions_need_a_csrf_token_to_sign_out():
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_user())
    assert browser.post(f"{AUTH}/logout-all").status_code == 403
    assert browser.get(ME).status_code == 200


# The admin's session


def test_admin_sign_in_and_out_are_audited_once_each(client):
    make_user(**ANN, role=Role.VIEWER)
    answer = client.post("/admin/login/", {"username": "Ann@example.com", "password": PASSWORD})
    assert answer.status_code == 302
    assert events() == ["user_signed_in"]
    assert client.post("/admin/logout/").status_code == 200
    assert events() == ["user_signed_in", "user_signed_out"]
    row = AuditLog.objects.last()
    assert (row.actor_label, row.ip_address) == ("ann", "127.0.0.1")


def test_admin_refuses_in_the_same_words(client, hashes):
    make_user(**ANN, role=Role.VIEWER)
    hashes.clear()
    pages = [
        client.post("/admin/login/", {"username": name, "password": "wrong"}).context["form"]
        for name in ("ann", "nobody", "x" * 101)
    ]
    assert len({str(form.errors) for form in pages}) == 1
    assert len(hashes) == 3
    assert events() == ["sign_in_refused"] * 3


# One's own account


def test_me_shows_what_is_known_of_oneself(count_statements):
    user = make_user(username="ann", email="ann@example.com", role=Role.VIEWER)
    api = bearer(make_token(user))
    # 1. the token, 2. the account, 3. its sites
    with count_statements(3):
        body = api.get(ME).json()
    user.refresh_from_db()
    assert body == {
        "id": user.pk,
        "username": "ann",
        "email": "ann@example.com",
        "full_name": "",
        "role": "viewer",
        "is_admin": False,
        "site_access": "all",
        "site_ids": [],
        "must_change_password": False,
        "api_key_hint": "",
        "api_key_created_at": None,
        "api_key_last_used_at": None,
        "api_key_expires_at": None,
        "last_login": None,
        "created_at": user.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": user.updated_at.isoformat().replace("+00:00", "Z"),
    }


def test_me_changes_name_and_address_alone():
    user = make_user(username="ann", role=Role.VIEWER)
    wish = {"role": "admin", "is_admin": True, "username": "root", "site_access": "selected"}
    answer = bearer(make_token(user)).patch(ME, {"email": "New@Example.com", **wish})
    assert answer.status_code == 200
    user.refresh_from_db()
    assert (user.email, user.username, user.role) == ("new@example.com", "ann", "viewer")
    row = AuditLog.objects.get()
    assert (row.event_type, row.actor_label) == ("user_updated", "ann")
    assert list(row.new_values) == ["email"]


def test_me_refuses_a_taken_address():
    make_user(email="bob@example.com")
    answer = bearer(make_token(make_user())).patch(ME, {"email": "BOB@example.com"})
    assert (answer.status_code, list(answer.json()["errors"])) == (409, ["email"])
    assert events() == []


def test_password_change_ends_all_but_the_token_it_came_with(client):
    user = make_user(**ANN)
    client.force_login(user)
    api, other = bearer(make_token(user)), bearer(make_token(user))
    change = {"current_password": PASSWORD, "new_password": "battery horse staple"}

    assert api.post(f"{ME}/password", change).status_code == 204

    assert [caller.get(ME).status_code for caller in (api, other, client)] == [200, 401, 401]
    assert User.objects.get().check_password("battery horse staple")
    assert events() == ["password_changed"]


def test_password_change_keeps_the_session_it_came_with(client):
    user = make_user(**ANN)
    other = Client()
    for browser in (client, other):
        browser.force_login(user)
    token = bearer(make_token(user))
    change = {"current_password": PASSWORD, "new_password": "battery horse staple"}

    answer = client.post(f"{ME}/password", change, content_type="application/json")

    assert answer.status_code == 204
    assert [caller.get(ME).status_code for caller in (client, other, token)] == [200, 401, 401]


@pytest.mark.parametrize(
    ("change", "field", "count"),
    [
        ({"current_password": "wrong"}, "current_password", 1),
        ({"new_password": "short"}, "new_password", 0),
        ({"new_password": "ann@example.com"}, "new_password", 0),
        ({"new_password": "x" * 4097}, "new_password", 0),
        ({"current_password": "x" * 4097}, "current_password", 0),
    ],
)
def test_password_change_checks_its_input(hashes, change, field, count):
    api = bearer(make_token(make_user(**ANN)))
    hashes.clear()
    body = {"current_password": PASSWORD, "new_password": "battery horse staple"} | change
    answer = api.post(f"{ME}/password", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert len(hashes) == count
    assert User.objects.get().check_password(PASSWORD)
    assert events() == []


def test_password_change_loses_against_another():
    user = make_user(**ANN)
    stale = User.objects.get()
    check = stale.check_password

    def check_and_be_overtaken(password):
        is_right = check(password)
        services.set_password(user=user, password="overtaken", actor=None)
        return is_right

    stale.check_password = check_and_be_overtaken
    with pytest.raises(CredentialsChangedError):
        services.change_own_password(
            user=stale, current_password=PASSWORD, new_password="battery horse staple"
        )
    assert User.objects.get().check_password("overtaken")


def test_passwords_set_by_an_admin_end_every_token_and_session(client):
    user = make_user(**ANN)
    client.force_login(user)
    token = bearer(make_token(user))
    services.set_password(user=user, password="one time only", actor=make_user(role=Role.ADMIN))
    assert [caller.get(ME).status_code for caller in (client, token)] == [401, 401]


# API keys


def test_api_key_is_made_shown_once_rotated_and_revoked(api):
    token = bearer(make_token(make_user(role=Role.VIEWER)))

    first = token.post(f"{ME}/api-key", {})
    second = token.post(f"{ME}/api-key", {"expires_at": "2199-01-01T00:00:00+01:00"})

    assert (first.status_code, second.status_code) == (201, 201)
    key = second.json()["api_key"]
    assert second.json() == {
        "api_key": key,
        "api_key_hint": key[:8],
        "expires_at": "2198-12-31T23:00:00Z",
    }
    assert first.json()["expires_at"] is None
    me = token.get(ME).json()
    assert (me["api_key_hint"], me["api_key_expires_at"]) == (key[:8], "2198-12-31T23:00:00Z")

    api.credentials(HTTP_X_API_KEY=first.json()["api_key"])
    assert api.get(SITES).status_code == 401
    api.credentials(HTTP_X_API_KEY=key)
    assert api.get(SITES).status_code == 200
    assert token.delete(f"{ME}/api-key").status_code == 204
    assert api.get(SITES).status_code == 401
    assert token.delete(f"{ME}/api-key").json()["code"] == "no_api_key"
    assert events() == ["api_key_created", "api_key_created", "api_key_revoked"]


@pytest.mark.parametrize("expires_at", ["2020-01-01T00:00:00Z", "2199-01-01T00:00:00", "soon", 1])
def test_api_key_ends_in_the_future(expires_at):
    answer = bearer(make_token(make_user())).post(f"{ME}/api-key", {"expires_at": expires_at})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["expires_at"])
