from __future__ import annotations

import json
import logging

import pytest

from accounts.enums import Role
from devices.admin.device import DeviceAdmin
from homepot.logging import JsonLineFormatter, RequestIdFilter, TextFormatter, without_secrets

KEY = "hpk_0123456789abcdefghijABCDEFGHIJ-_012345678"


@pytest.mark.django_db
def test_what_django_says_of_a_refused_request_carries_its_id(client, caplog):
    caplog.handler.addFilter(RequestIdFilter())
    with caplog.at_level(logging.WARNING, logger="django.request"):
        client.get("/api/v1/nope", headers={"X-Request-ID": "order-77777"})
    (record,) = (record for record in caplog.records if record.name == "django.request")
    assert record.request_id == "order-77777"
    line = json.loads(JsonLineFormatter().format(record))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "django.request",
        "request_id": "order-77777",
        "message": "Not Found: /api/v1/nope",
        "status_code": 404,
    }


@pytest.mark.django_db
def test_refused_page_is_one_line_and_a_crash_tells_where(staff, caplog, monkeypatch):
    browser = staff(Role.VIEWER)
    assert browser.get("/admin/accounts/user/").status_code == 403
    browser.raise_request_exception = False
    monkeypatch.setattr(DeviceAdmin, "get_queryset", lambda *args: 1 / 0)
    assert browser.get("/admin/devices/device/").status_code == 500
    refused, crashed = (record for record in caplog.records if record.name == "django.request")
    assert "\n" not in TextFormatter().format(refused)
    assert "ZeroDivisionError" in TextFormatter().format(crashed)


def test_outside_of_requests_there_is_a_dash():
    record = logging.LogRecord("homepot", logging.INFO, "", 0, "", (), None)
    RequestIdFilter().filter(record)
    assert record.request_id == "-"


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        (f"X-API-Key: {KEY}", "X-API-Key: hpk_***"),
        ("site key hpe_abcdefgh12 made", "site key hpe_*** made"),
        (f"GET /sites?api_key={KEY}&limit=5", "GET /sites?api_key=***&limit=5"),
        ("Authorization: Bearer abc.DEF-123_456/7==", "Authorization: Bearer ***"),
        ("Authorization: Basic dGlsbDpzZWNyZXQ=", "Authorization: Basic ***"),
        (
            "postgresql://till:s3cr%2Fet@db:5432/shop?sslmode=require",
            "postgresql://till:***@db:5432/shop?sslmode=require",
        ),
        ("postgresql://till:p@ss@db/shop", "postgresql://till:***@db/shop"),
        ("postgresql://till@db/shop at 12:30", "postgresql://till@db/shop at 12:30"),
        ("host=db password=s3cret dbname=shop", "host=db password=*** dbname=shop"),
        ('{"password": "correct horse", "n": 1}', '{"password": "***", "n": 1}'),
        ("{'new_password': 's3cret', 'n': 1}", "{'new_password': '***', 'n': 1}"),
        ('{"bootstrap_key": "s3cret"}', '{"bootstrap_key": "***"}'),
        ("SECRET_KEY=abcdef", "SECRET_KEY=***"),
        ("sessionid=0123abcd; csrftoken=1", "sessionid=***; csrftoken=1"),
        ("Refused 10.0.0.7: Invalid token.", "Refused 10.0.0.7: Invalid token."),
        ("The token: expired an hour ago", "The token: expired an hour ago"),
        ("Token expired", "Token expired"),
        ("a hpk_ is a prefix", "a hpk_ is a prefix"),
    ],
)
def test_secrets_are_left_out(said, logged):
    assert without_secrets(said) == logged
    # Within JSON the quotation marks have a backslash each, and the line stays JSON.
    assert json.loads(without_secrets(json.dumps({"message": said}))) == {"message": logged}


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonLineFormatter()])
def test_stack_traces_leave_them_out_too(formatter, caplog):
    try:
        raise ValueError(f"could not use {KEY}")
    except ValueError:
        logging.getLogger("homepot").exception("Failed", extra={"password": "s3cret"})
    line = formatter.format(caplog.records[-1])
    assert "could not use hpk_***" in line
    assert KEY not in line
    assert "s3cret" not in line
