from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from devices.models import HealthCheck
from devices.tests.factories import make_device, make_health_check
from homepot.bulk import insert_new_rows, insert_rows, update_rows

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


def test_insert_new_rows_leaves_out_what_is_stored(count_statements):
    first, second = make_device(), make_device()
    later = AT + timedelta(microseconds=1)
    make_health_check(device=first, reported_at=AT)
    make_health_check(device=second, reported_at=later)
    keys = [
        *((second.pk, AT), (first.pk, AT), (first, later), (second, later)),
        *((first.pk, None), (second.pk, AT), (first.pk, None)),
    ]
    rows = [(device, True, None, None, "", AT, "", at) for device, at in keys]
    columns = (*COLUMNS_WITH_ENDPOINT, "reported_at")

    with count_statements(2):
        ids = insert_new_rows(HealthCheck, columns, rows, key=("device", "reported_at"))
        again = insert_new_rows(HealthCheck, columns, rows[:4], key=("device", "reported_at"))

    stored = HealthCheck.objects.in_bulk([pk for pk in ids if pk])
    assert [pk and (stored[pk].device_id, stored[pk].reported_at) for pk in ids] == [
        *((second.pk, AT), None, (first.pk, later), None),
        *((first.pk, None), None, (first.pk, None)),
    ]
    assert again == [None] * 4


COLUMNS_WITH_ENDPOINT = (*COLUMNS, "endpoint")
