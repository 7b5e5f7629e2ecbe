"""What devices send all the time is answered past Django, and answered the same."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from django.db import OperationalError

from devices.enums import DeviceType
from devices.models import Device, HealthCheck
from devices.tests.factories import make_credential, make_device
from homepot.handler import TolerantWSGIHandler
from homepot.request_context import current_request
from homepot.short_calls import ShortCalls

pytestmark = pytest.mark.django_db

CHECK_IN, CHECK_INS = "/api/v1/agent/check-in", "/api/v1/agent/check-ins"
# Nobody says it like that, and it means the same.
LONG_WAY = {"HTTP_ACCEPT": "application/json, */*"}
HEARTBEAT = "/api/v1/agent/heartbeat"
VARYING = {"server_time", "next_check_in_seconds", "last_heartbeat_at"}


@pytest.fixture
def went_short(monkeypatch) -> list[bool]:
    """Whether each request was answered the short way."""
    seen: list[bool] = []
    answer = ShortCalls.answer

    def note_and_answer(calls, environ):
        answered = answer(calls, environ)
        seen.append(answered is not None)
        return answered

    monkeypatch.setattr(ShortCalls, "answer", note_and_answer)
    return seen


def send(path: str, body: bytes, environ: dict[str, str]) -> tuple[str, dict[str, str], Any]:
    told: list[Any] = []
    whole = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        **environ,
    }
    answer = TolerantWSGIHandler()(whole, lambda status, headers: told.extend((status, headers)))
    content = json.loads(b"".join(answer))
    for part in (content, content.get("data", {})):
        for name in VARYING:
            part.pop(name, None)
    return told[0], dict(told[1]), content


def headers_of(device: Device, **key_fields: Any) -> dict[str, str]:
    return {
        "HTTP_X_DEVICE_ID": device.device_id,
        "HTTP_X_API_KEY": make_credential(device, **key_fields),
    }


@pytest.mark.parametrize("path", [CHECK_IN, f"{CHECK_IN}/", CHECK_INS, HEARTBEAT])
def test_usual_call_is_answered_the_short_way_with_the_same_body(path, went_short):
    device = make_device(device_type=DeviceType.GATEWAY)
    headers = {**headers_of(device), "HTTP_X_REQUEST_ID": "the-same-request"}
    body = b"{}" if "check-ins" not in path else b'{"check_ins": [{}, {"device_id": "none"}]}'
    # The first use of a key is noted.
    send(path, body, headers)
    went_short.clear()

    long, short = (send(path, body, {**headers, **more}) for more in (LONG_WAY, {}))

    assert went_short == [False, True]
    assert long[0] == short[0] == "200 OK"
    assert long[2] == short[2]
    for name in ("Content-Type", "X-Request-ID"):
        assert long[1][name] == short[1][name]
    assert HealthCheck.objects.count() == (0 if path == HEARTBEAT else 3)
    assert current_request.get() is None


BODIES = {
    CHECK_IN: [b"", b"{", b"[]", b'{"status_code": 7}', b'{"endpoint": "\\u0000"}', b'{"a": 1}'],
    HEARTBEAT: [b"", b"{", b"[]", b'{"device_id": []}', b'{"device_id": "till-other"}'],
    CHECK_INS: [b"", b"{}", b'{"check_ins": []}', b'{"check_ins": [{"status_code": 7}, {"a": 1}]}'],
}


@pytest.mark.parametrize("path", BODIES)
def test_what_is_not_usual_goes_the_long_way(path, went_short):
    headers = headers_of(make_device())
    requests = [(body, headers) for body in BODIES[path]]
    good = BODIES[path][-1]
    changes: list[dict[str, str]] = [
        {"HTTP_X_API_KEY": "hpd_wrong"},
        {"HTTP_X_DEVICE_ID": ""},
        {"REQUEST_METHOD": "PUT"},
        {"QUERY_STRING": "more=1"},
        {"CONTENT_TYPE": "text/plain"},
        {"CONTENT_TYPE": "application/json; charset=latin-1"},
        {"CONTENT_LENGTH": str(10**9)},
        {"CONTENT_LENGTH": ""},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
    ]
    requests += [(good, headers | change) for change in changes]
    requests += [(good, headers_of(make_device(lifecycle_state="suspended")))]
    for body, environ in requests:
        long, short = (send(path, body, environ | more) for more in (LONG_WAY, {}))
        assert (long[0], long[2]) == (short[0], short[2])
        for name in ("Content-Type", "WWW-Authenticate", "Retry-After"):
            assert long[1].get(name) == short[1].get(name)
    assert set(went_short) == {False}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (CHECK_IN, "devices.protocol.check_in_views.check_in"),
        (CHECK_INS, "devices.services.check_in_many"),
    ],
)
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("away"), "503 Service Unavailable", "unavailable"),
        (ZeroDivisionError("oops"), "500 Internal Server Error", "server_error"),
    ],
)
def test_failure_is_told_and_logged_once_by_the_long_way(
    path, place, error, status, code, monkeypatch, caplog, settings
):
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        raise error

    settings.DEBUG_PROPAGATE_EXCEPTIONS = False
    body = b'{"check_ins": [{}]}' if path == CHECK_INS else b"{}"
    headers = headers_of(make_device())
    send(path, body, headers)
    monkeypatch.setattr(place, fail)
    with caplog.at_level(logging.ERROR):
        answer = send(path, body, headers)
    assert (answer[0], answer[2]["code"]) == (status, code)
    # It may have been done before it failed: it is not tried again.
    assert len(calls) == 1
    assert any(
        str(error) in f"{record.getMessage()} {record.exc_info}" for record in caplog.records
    )


def test_nothing_is_taken_in_in_read_only_mode(went_short, settings):
    headers = headers_of(make_device())
    settings.MAINTENANCE_READ_ONLY = True
    assert send(CHECK_IN, b"{}", headers)[0] == "503 Service Unavailable"
    assert went_short == []


def test_short_calls_are_measured_as_others(settings, monkeypatch):
    settings.METRICS_TOKEN = "x" * 20
    routes = []

    class Measured:
        def labels(self, *labels):
            routes.append(labels)
            return self

        def observe(self, seconds):
            assert seconds > 0

    monkeypatch.setattr("homepot.short_calls.REQUESTS", Measured())
    monkeypatch.setattr("homepot.metrics.middleware.REQUESTS", Measured())
    device = make_device(device_type=DeviceType.GATEWAY)
    headers = headers_of(device)
    for path, body in ((CHECK_IN, b"{}"), (CHECK_INS, b'{"check_ins": [{}]}')):
        send(path, body, headers)
        routes.clear()
        for more in (LONG_WAY, {}):
            send(path, body, headers | more)
        assert routes == [(path, "POST", 200)] * 2
