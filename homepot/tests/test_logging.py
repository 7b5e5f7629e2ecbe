from __future__ import annotations

import logging

import pytest

from homepot.logging import RequestIdFilter


@pytest.mark.django_db
def test_what_django_says_of_a_refused_request_carries_its_id(client, caplog):
    caplog.handler.addFilter(RequestIdFilter())
    with caplog.at_level(logging.WARNING, logger="django.request"):
        client.get("/api/v1/nope", headers={"X-Request-ID": "order-77777"})
    (record,) = (record for record in caplog.records if record.name == "django.request")
    assert record.request_id == "order-77777"


def test_outside_of_requests_there_is_a_dash():
    record = logging.LogRecord("homepot", logging.INFO, "", 0, "", (), None)
    RequestIdFilter().filter(record)
    assert record.request_id == "-"
