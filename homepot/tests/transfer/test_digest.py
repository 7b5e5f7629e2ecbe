from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from devices.models import Device, HealthCheck
from homepot.tests.transfer.rows import JSON, TEXTS, TIMES, fill
from homepot.transfer.digest import TableDigest, table_digests
from homepot.transfer.tables import tables
from sites.models import Site

pytestmark = pytest.mark.django_db


def test_tables_are_those_of_the_database_with_those_referred_to_first():
    found = tables()
    names = [table.name for table in found]
    assert {*names, "django_migrations"} == set(connection.introspection.table_names())
    for table in found:
        for reference in table.references:
            assert names.index(reference.to_table) <= names.index(table.name), table


def test_digests_of_equal_rows_are_equal_on_both_engines(other):
    fill("default")
    fill(other.alias)
    here, there = table_digests(connection), table_digests(other)
    assert here == there
    assert here["health_checks"].rows == len(TEXTS) + len(JSON)
    assert here["axes_accesslog"] == TableDigest(0, "0" * 32)
    assert here["django_migrations"].rows > 50


def test_digest_does_not_depend_on_the_order_of_rows(other):
    fill(other.alias)
    before = table_digests(other)
    rows = list(HealthCheck.objects.using(other.alias))
    HealthCheck.objects.using(other.alias).all().delete()
    HealthCheck.objects.using(other.alias).bulk_create(reversed(rows))
    assert table_digests(other) == before


@pytest.mark.parametrize(
    ("model", "pk", "change"),
    [
        (HealthCheck, 1, {"error_message": "\n"}),
        (HealthCheck, 2, {"error_message": "\\n"}),
        (HealthCheck, 4, {"error_message": TEXTS[3].replace("cafe\u0301", "caf\u00e9")}),
        (HealthCheck, 6, {"response_data": ""}),
        (HealthCheck, 7, {"response_data": {"": None}}),
        (HealthCheck, 9, {"response_data": {**JSON[3], "b": [1.0, 1.0, -0.5, 0.1 + 0.2]}}),
        (HealthCheck, 9, {"response_data": {**JSON[3], "b": [1, 1.0, -0.5, 0.3]}}),
        (HealthCheck, 10, {"response_data": [2**63 - 2, *JSON[4][1:]]}),
        (HealthCheck, 10, {"response_data": [*JSON[4][:2], 2**64 + 1, *JSON[4][3:]]}),
        (HealthCheck, 1, {"status_code": None}),
        (HealthCheck, 1, {"is_healthy": True}),
        (HealthCheck, 3, {"checked_at": TIMES[3].replace(microsecond=11)}),
        (Device, 2, {"ip_address": "10.0.0.2"}),
        (Device, 2, {"last_check_healthy": None}),
        (Site, 1, {"latitude": 0.3}),
        (Site, 1, {"longitude": None}),
    ],
)
def test_digest_shows_the_smallest_change_of_a_value(model: Any, pk: int, change: dict[str, Any]):
    fill("default")
    before = table_digests(connection)
    assert model.objects.filter(pk=pk).update(**change) == 1
    after = table_digests(connection)
    changed = [name for name in before if before[name] != after[name]]
    assert changed == [model._meta.db_table]


def test_digest_sees_what_only_sqlite_stores(other):
    """What another program may have put there: bytes, text in numbers, half of what it wrote."""
    fill(other.alias)
    digests = [table_digests(other)["health_checks"]]
    with other.cursor() as cursor:
        for statement in (
            "UPDATE health_checks SET error_message = CAST(x'61ff' AS TEXT) WHERE id = 1",
            "UPDATE health_checks SET error_message = CAST(x'61fe' AS TEXT) WHERE id = 1",
            "UPDATE health_checks SET error_message = 'a' || char(0) || 'b' WHERE id = 1",
            "UPDATE health_checks SET error_message = 'a' || char(0) || 'c' WHERE id = 1",
            "UPDATE health_checks SET checked_at = 'yesterday, at 8.00' WHERE id = 1",
            "UPDATE health_checks SET checked_at = 'yesterday, at 8.0' WHERE id = 1",
            "UPDATE health_checks SET endpoint = 7 WHERE id = 1",
        ):
            cursor.execute(statement)
            digests.append(table_digests(other)["health_checks"])
    assert len(set(digests)) == len(digests)


def test_digests_are_the_same_for_models_as_migrations_know_them():
    """In their order of fields, which is not that of the code."""
    state = MigrationLoader(connection).project_state().apps
    assert {table.name: [column.name for column in table.columns] for table in tables(state)} == {
        table.name: [column.name for column in table.columns] for table in tables()
    }
