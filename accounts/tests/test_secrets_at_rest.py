from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts import services
from accounts.enums import Role
from accounts.models import User
from accounts.sessions import SessionStore
from accounts.tests.factories import make_user

AUTH = "/api/v1/auth"
PASSWORD = "correct horse 5281"


def everything_stored() -> str:
    """Every value of every table, as text."""
    values = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            values += [str(value) for row in cursor.fetchall() for value in row]
    return "\n".join(values)


@pytest.mark.django_db
def test_no_table_holds_a_usable_secret(api, client, caplog):
    account = {"username": "ann", "email": "ann@example.com", "password": PASSWORD}
    secrets = {PASSWORD, "wrong guess 7290", "another horse 1182", "one time 99121"}

    secrets.add(api.post(f"{AUTH}/signup", account).json()["data"]["access_token"])
    api.post(f"{AUTH}/login", {"username": "ann", "password": "wrong guess 7290"})
    client.post("/admin/login/", {"username": "ann", "password": "wrong guess 7290"})
    token = api.post(f"{AUTH}/login", account).json()["data"]["access_token"]
    secrets.add(token)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    secrets.add(api.post(f"{AUTH}/me/api-key", {}).json()["api_key"])
    change = {"current_password": PASSWORD, "new_password": "another horse 1182"}
    assert api.post(f"{AUTH}/me/password", change).status_code == 204
    user = User.objects.get()
    client.force_login(user)
    secrets.add(client.session.session_key)
    assert client.get("/api/v1/auth/me").status_code == 200
    services.set_password(user=user, password="one time 99121", actor=make_user(role=Role.ADMIN))
    call_command("create_api_key", "ann")

    stored = everything_stored()
    assert "argon2$" in stored
    assert len(secrets) == 8
    assert [secret for secret in secrets if secret in stored] == []
    assert [secret for secret in secrets if secret in caplog.text] == []


@pytest.mark.django_db
def test_the_stored_session_is_no_cookie(client):
    client.force_login(make_user())
    stored = Session.objects.get().session_key
    assert stored != client.session.session_key

    client.cookies[settings.SESSION_COOKIE_NAME] = stored

    assert client.get("/api/v1/auth/me").status_code == 401


@pytest.mark.django_db
def test_sessions_are_changed_renewed_and_ended(client):
    client.force_login(make_user())
    session = client.session
    session["colour"] = "teal"
    session.save()
    first_key = session.session_key
    session.cycle_key()
    assert session.exists(session.session_key)
    assert not session.exists(first_key)
    assert SessionStore(session.session_key)["colour"] == "teal"
    Session.objects.update(expire_date=timezone.now())
    assert SessionStore(session.session_key).load() == {}
    session.flush()
    assert not Session.objects.exists()
