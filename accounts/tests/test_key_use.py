"""The note that an API key was used, which no request waits for."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg
import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.enums import Role
from accounts.models import User
from accounts.tests.factories import make_api_key, make_user
from homepot.testing.processes import database_url


@pytest.mark.django_db(transaction=True)
def test_use_is_noted_unless_somebody_else_writes():
    user = make_user(role=Role.VIEWER)
    api = APIClient(headers={"X-API-Key": make_api_key(user)})
    User.objects.update(api_key_last_used_at=None)
    if connection.vendor == "sqlite":
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        lock = "BEGIN IMMEDIATE"
    else:
        other = psycopg.connect(database_url())
        lock = f"SELECT FROM users WHERE id = {user.pk} FOR UPDATE"

    with closing(other):
        other.execute(lock)
        # To wait would end in an error.
        assert api.get("/api/v1/sites/sites").status_code == 200
        assert User.objects.get().api_key_last_used_at is None
    assert api.get("/api/v1/sites/sites").status_code == 200
    assert User.objects.get().api_key_last_used_at is not None
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            assert cursor.fetchone() == (20_000,)
