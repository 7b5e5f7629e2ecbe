"""Fixtures of all tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client, TransactionTestCase
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from audit import triggers

CountStatements = Callable[..., AbstractContextManager[None]]
TRANSACTION_STATEMENT = re.compile(r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b")


@pytest.fixture(scope="session", autouse=True)
def flush_reaches_the_audit_log() -> Iterator[None]:
    """Lift the audit log's triggers while a test with transactions of its own is cleaned up."""
    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def lift_and_flush(test: TransactionTestCase) -> None:
        triggers.drop(connection)
        try:
            flush(test)
        finally:
            triggers.create(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lift_and_flush)
        yield


@pytest.fixture(autouse=True)
def no_throttles(settings: Any) -> None:
    """All tests come from one address; those about limits set them."""
    settings.THROTTLE_RATES = {}


@pytest.fixture(autouse=True)
def quick_clients(settings: Any) -> None:
    """Otherwise each new client has WhiteNoise look for all static files first."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture
def api() -> APIClient:
    """A caller without credentials; `api.credentials(HTTP_X_API_KEY=...)` gives it some."""
    return APIClient()


@pytest.fixture
def count_statements() -> CountStatements:
    """`with count_statements(2):` fails unless the block sends exactly two statements.

    `or_fewer=True` is for what one engine may do in fewer. What begins and ends transactions
    is not counted; `assertNumQueries` counts that too.
    """

    @contextmanager
    def expect(expected: int, *, or_fewer: bool = False) -> Iterator[None]:
        with CaptureQueriesContext(connection) as captured:
            yield
        statements = [
            query["sql"]
            for query in captured.captured_queries
            if not TRANSACTION_STATEMENT.match(query["sql"])
        ]
        if len(statements) > expected or (len(statements) < expected and not or_fewer):
            listed = "\n".join(f"{number}. {sql[:500]}" for number, sql in enumerate(statements, 1))
            pytest.fail(f"{len(statements)} statements instead of {expected}:\n{listed}")

    return expect


@pytest.fixture
def api_as(api: APIClient) -> Callable[[Role], APIClient]:
    """`api_as(Role.OPERATOR)` is a caller with the API key of a new account of that role."""

    def sign_in(role: Role) -> APIClient:
        api.credentials(HTTP_X_API_KEY=make_api_key(make_user(role=role)))
        return api

    return sign_in


@pytest.fixture
def viewer(api_as: Callable[[Role], APIClient]) -> APIClient:
    return api_as(Role.VIEWER)


@pytest.fixture
def operator(api_as: Callable[[Role], APIClient]) -> APIClient:
    return api_as(Role.OPERATOR)


@pytest.fixture
def staff(client: Client) -> Callable[[Role], Client]:
    """`staff(Role.OPERATOR)` is a browser in which a new account of that role has signed in."""

    def sign_in(role: Role) -> Client:
        client.force_login(make_user(role=role))
        return client

    return sign_in
