from __future__ import annotations

from ipaddress import ip_network

import pytest
from django.db import connection

from accounts import hashers, services, sign_in, throttles
from accounts.errors import WrongPasswordError
from accounts.models import User
from accounts.tests.factories import make_api_key, make_token, make_user
from homepot.rates import Rate

PASSWORD = "correct horse battery"
NOON = 1_800_000_000.0  # the beginning of an hour


@pytest.fixture
def clock(monkeypatch):
    """A list whose only item is the time."""
    now = [NOON]
    monkeypatch.setattr(throttles.time, "time", lambda: now[0])
    return now


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("login", "post", "login", {"username": "ann", "password": "wrong"}),
        ("signup", "post", "signup", {"username": "ann"}),
        ("password", "post", "me/password", {"current_password": "wrong"}),
        ("api_key", "post", "me/api-key", {}),
        ("api_key", "delete", "me/api-key", None),
    ],
)
def test_routes_answer_429_beyond_their_limit(api, settings, clock, scope, method, path, body):
    settings.THROTTLE_RATES = {scope: Rate(limit=2, seconds=3600)}
    if path.startswith("me/"):
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(make_user())}")
    answers = [getattr(api, method)(f"/api/v1/auth/{path}", body) for _ in range(3)]

    assert 429 not in [answer.status_code for answer in answers[:2]]
    assert (answers[2].status_code, answers[2].json()["code"]) == (429, "throttled")
    assert answers[2]["Retry-After"] == "3600"
    assert answers[2]["Content-Type"] == "application/problem+json"


@pytest.mark.django_db
def test_limits_by_account_follow_the_account_and_those_by_address_the_address(api, settings):
    settings.THROTTLE_RATES = {
        "login": Rate(limit=1, seconds=3600),
        "api_key": Rate(limit=1, seconds=3600),
    }
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
    wrong = {"username": "ann", "password": "wrong"}

    def sign_in_from(address: str) -> int:
        return api.post("/api/v1/auth/login", wrong, HTTP_X_FORWARDED_FOR=address).status_code

    assert [sign_in_from(f"192.0.2.{n}") for n in (1, 1, 2)] == [401, 429, 401]
    assert sign_in_from("198.51.100.1, 192.0.2.1") == 429

    for _ in range(2):
        api.credentials(HTTP_X_API_KEY=make_api_key(make_user()))
        assert api.post("/api/v1/auth/me/api-key", {}).status_code == 201


@pytest.mark.django_db
def test_admin_sign_in_has_the_limit_of_the_api(client, api, settings):
    settings.THROTTLE_RATES = {"login": Rate(limit=2, seconds=3600)}
    wrong = {"username": "ann", "password": "wrong"}
    assert api.post("/api/v1/auth/login", wrong).status_code == 401
    assert client.post("/admin/login/", wrong).status_code == 200
    answer = client.post("/admin/login/", wrong)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0


@pytest.mark.django_db
def test_admin_password_change_has_the_limit_of_the_api(client, settings):
    settings.THROTTLE_RATES = {"password": Rate(limit=1, seconds=3600)}
    client.force_login(make_user(password=PASSWORD))
    page, wrong = "/admin/password_change/", {"old_password": "wrong"}
    assert client.post(page, wrong).status_code == 200
    answer = client.post(page, wrong)
    assert answer.status_code == 429
    assert "<h1>That was too often</h1>" in answer.text


@pytest.mark.django_db
@pytest.mark.parametrize("route", ["login", "signup"])
def test_api_answers_503_when_it_is_busy(api, all_slots_taken, route):
    account = {"username": "ann", "email": "ann@example.com", "password": PASSWORD}
    answer = api.post(f"/api/v1/auth/{route}", account)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert answer["Retry-After"] == "5"
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.django_db
def test_admin_answers_503_when_it_is_busy(client, all_slots_taken):
    answer = client.post("/admin/login/", {"username": "ann", "password": PASSWORD})
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "<h1>The server is busy</h1>" in answer.text


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_for_a_hash(api, monkeypatch):
    inside = []
    encode, verify = hashers.Argon2Hasher.encode, hashers.Argon2Hasher.verify

    def watch(hash):
        def watched(*args):
            inside.append(connection.in_atomic_block)
            return hash(*args)

        return watched

    monkeypatch.setattr(hashers.Argon2Hasher, "encode", watch(encode))
    monkeypatch.setattr(hashers.Argon2Hasher, "verify", watch(verify))

    user, _ = sign_in.sign_up(username="ann", email="ann@example.com", password=PASSWORD)
    services.create_user(username="bob", email="bob@example.com", password=PASSWORD, actor=None)
    services.set_password(user=user, password=PASSWORD, actor=None)
    services.change_own_password(user=user, current_password=PASSWORD, new_password=f"{PASSWORD}!")
    with pytest.raises(WrongPasswordError):
        services.change_own_password(user=user, current_password="no", new_password=PASSWORD)
    api.post("/api/v1/auth/login", {"username": "ann", "password": f"{PASSWORD}!"})
    User.objects.create_superuser("root", "root@example.com", PASSWORD)

    assert inside == [False] * 8
