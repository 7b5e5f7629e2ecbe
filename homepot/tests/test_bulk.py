from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from devices.models import HealthCheck
from devices.tests.factories import make_device, make_health_check
from homepot.bulk import find_stored, insert_rows, update_rows

pytestmark = pytest.mark.django_db

COLUMNS = (
    "device",
    "is_healthy",
    "response_time_ms",
    "response_data",
    "error_message",
    "checked_at",
)
AT = datetime(2026, 1, 31, 8, 30, 15, 123456, tzinfo=UTC)
DATA = [None, {}, {"a": [1, None, "x"]}, "text", 0.1, "é\"\\'🥐", [], True]


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_insert_rows_takes_one_statement_and_keeps_order(count, count_statements):
    device = make_device()
    rows = [
        (device, number % 2 == 0, number, DATA[number % len(DATA)], f"é'{number}", AT)
        for number in range(count)
    ]
    with count_statements(1):
        ids = insert_rows(HealthCheck, COLUMNS_WITH_ENDPOINT, [(*row, "") for row in rows])
    stored = HealthCheck.objects.in_bulk(ids)
    assert [tuple(getattr(stored[pk], name) for name in COLUMNS) for pk in ids] == rows


def test_update_rows_takes_one_statement_and_leaves_others(count_statements):
    checks = [make_health_check(response_time_ms=1) for _ in range(3)]
    with count_statements(1):
        update_rows(
            HealthCheck,
            ("is_healthy", "response_time_ms", "checked_at"),
            [(checks[0].pk, False, None, AT), (checks[2].pk, True, 7, AT)],
        )
    after = HealthCheck.objects.order_by("id").values_list(
        "is_healthy", "response_time_ms", "checked_at"
    )
    assert list(after) == [(False, None, AT), (True, 1, checks[1].checked_at), (True, 7, AT)]


def test_find_stored_asks_for_each_pair(count_statements):
    first, second = make_device(), make_device()
    later = AT + timedelta(microseconds=1)
    make_health_check(device=first, reported_at=AT)
    make_health_check(device=second, reported_at=later)
    make_health_check(device=second, reported_at=None)
    keys = [(second.pk, AT), (first.pk, AT), (first.pk, later), (second, later), (first.pk, AT)]
    with count_statements(2):
        assert sorted(find_stored(HealthCheck, ("device", "reported_at"), keys)) == [1, 3, 4]
        assert find_stored(HealthCheck, ("device", "reported_at"), []) == []


COLUMNS_WITH_ENDPOINT = (*COLUMNS, "endpoint")
