"""What no caller may do to the API, in body, query, path, method and headers.

Every row is refused in the words of the contract, and afterwards every list still answers
with the same rows: nothing that was refused is stored, and nothing stored breaks a reader.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from accounts.enums import Role
from accounts.models import User
from accounts.tests.factories import make_api_key, make_user
from audit.enums import Outcome
from audit.models import AuditLog
from devices.models import Device, HealthCheck
from devices.tests.factories import make_device, make_health_check
from homepot.handler import TolerantWSGIHandler
from homepot.parsers import MAX_BODY_BYTES, MAX_DEPTH, MAX_NUMBER
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites/sites"
DEVICES = "/api/v1/devices/devices"
SITE = f"{SITES}/site-900"
DEVICE = f"{DEVICES}/till-1"
SITE_DEVICES = "/api/v1/devices/sites/site-900/devices"
CHECKS = f"{DEVICE}/health-checks"
SITE_HEALTH = "/api/v1/health/sites/site-900/health"
USERS = "/api/v1/auth/users"
SIGN_UP, SIGN_IN = "/api/v1/auth/signup", "/api/v1/auth/login"
LISTS = (SITES, DEVICES, SITE_DEVICES, CHECKS, SITE_HEALTH, USERS)

# One for all: each loads the middleware anew.
CLIENT = Client()

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PROBLEM = "application/problem+json"
PROBLEM_KEYS = {"type", "title", "status", "detail", "code", "errors"}
INTERNALS = ("Traceback", ".py", "django", "psycopg", "sqlite", "SELECT", str(settings.BASE_DIR))


@dataclass(frozen=True)
class Row:
    """A request, and how it is to be refused; `errors` are the fields that it names."""

    status: int
    code: str
    errors: frozenset[str] | None = None
    method: str = "POST"
    path: str = SITES
    query: str = ""
    body: Any = b""
    content_type: str = JSON
    environ: dict[str, Any] = field(default_factory=dict)
    role: Role = Role.OPERATOR


@pytest.fixture(scope="module")
def fleet(django_db_setup, django_db_blocker):
    """A small fleet for all rows: keys by role, and what the lists answer."""
    with django_db_blocker.unblock():
        make_site(site_id="site-901")
        site = make_site(site_id="site-900")
        make_health_check(device=make_device(device_id="till-1", name="Till 1", site=site))
        keys = {role: make_api_key(make_user(role=role)) for role in (Role.OPERATOR, Role.ADMIN)}
        make_user(username="taken")
        yield keys, read_lists(keys)
        for model in (HealthCheck, Device, Site, User):
            model.objects.all().delete()


@pytest.fixture(autouse=True)
def requests_of_the_web_server(monkeypatch):
    """Make Django's test client read requests as the web server's handler does."""
    monkeypatch.setattr("django.test.client.WSGIRequest", TolerantWSGIHandler.request_class)


@pytest.fixture
def keys(fleet):
    return fleet[0]


@pytest.fixture
def call(keys):
    """`call(row)` sends a row's request with its role's key; a crash is the test's."""

    def send(row, **environ):
        return CLIENT.generic(
            row.method,
            row.path + (f"?{row.query}" if row.query else ""),
            row.body if isinstance(row.body, bytes) else json.dumps(row.body).encode(),
            content_type=row.content_type,
            **{"HTTP_X_API_KEY": keys[row.role]} | row.environ | environ,
        )

    return send


def read_lists(keys):
    headers = {"X-API-Key": keys[Role.ADMIN]}
    answers = [CLIENT.get(path, headers=headers) for path in LISTS]
    assert [answer.status_code for answer in answers] == [200] * len(LISTS)
    return [answer.json() for answer in answers]


def assert_problem(answer, status, code, errors=None):
    assert answer.status_code == status, answer.content[:500]
    assert answer["Content-Type"] == PROBLEM
    problem = json.loads(answer.content)
    assert problem["status"] == status
    assert problem["code"] == code, problem
    assert problem["detail"]
    assert problem["title"]
    assert set(problem) <= PROBLEM_KEYS
    assert ("errors" in problem) == (errors is not None), problem
    if errors is not None:
        assert set(problem["errors"]) == errors, problem
    text = answer.content.decode()
    assert not [word for word in INTERNALS if word in text]


def row(id, status, code, *errors, **request):
    named = frozenset(errors) if errors else None
    return pytest.param(Row(status, code, named, **request), id=id)


CHECK = {"is_healthy": True}
NEW_SITE = {"name": "New"}
NEW_DEVICE = {"name": "New", "site_id": "site-900"}
NEW_USER = {"username": "new", "email": "new@example.com"}
PASSWORD = "correct horse battery"
GOOD = {
    SITES: NEW_SITE,
    DEVICES: NEW_DEVICE,
    SITE_DEVICES: NEW_SITE,
    CHECKS: CHECK,
    USERS: NEW_USER,
    SIGN_UP: NEW_USER | {"password": PASSWORD},
    SIGN_IN: {"username": "taken", "password": PASSWORD},
}


def refused_field(path, name, *values, method="POST", role=Role.OPERATOR):
    """Rows of a body that is good but for one field."""
    return [
        row(
            f"{path.rpartition('/')[2]}-{name}-{json.dumps(value)[:30]}",
            400,
            "invalid",
            name,
            method=method,
            path=path,
            body=GOOD.get(path, {}) | {name: value},
            role=role,
        )
        for value in values
    ]


def nested(depth, opening=b"[", closing=b"]", core=b"1"):
    return opening * depth + core + closing * depth


# A body of the API is an object, so its lists may be nested one level less.
IN_CONFIG = b'{"site_id": "site-900", "name": "New", "config": {"x": %b}}'
TOO_LARGE = MAX_BODY_BYTES + 1

BODIES = [
    # Size
    row("one-byte-too-large", 413, "payload_too_large", body=b" " * TOO_LARGE),
    row(
        "said-to-be-too-large",
        413,
        "payload_too_large",
        body=b"{}",
        environ={"CONTENT_LENGTH": str(TOO_LARGE)},
    ),
    row(
        "said-to-be-huge",
        413,
        "payload_too_large",
        body=b"{}",
        environ={"CONTENT_LENGTH": "9" * 30},
    ),
    row("form-too-large", 413, "payload_too_large", body=b"a" * TOO_LARGE, content_type=FORM),
    *(
        row(
            f"{method}-{coding}",
            411,
            "length_required",
            method=method,
            path=path,
            body=b'{"name": "New"}',
            environ={
                "HTTP_TRANSFER_ENCODING": coding,
                "CONTENT_LENGTH": "",
                "wsgi.input_terminated": True,
            },
        )
        for method, path, coding in (
            ("POST", SITES, "chunked"),
            ("POST", CHECKS, "Chunked"),
            ("POST", SITE_DEVICES, "gzip, chunked"),
            ("PUT", SITE, "chunked"),
            ("PATCH", DEVICE, "chunked"),
        )
    ),
    row(
        "http2-without-length",
        411,
        "length_required",
        body=b'{"name": "New"}',
        environ={"SERVER_PROTOCOL": "HTTP/2", "CONTENT_LENGTH": ""},
    ),
    # Encoding
    row("bom", 400, "parse_error", body=codecs.BOM_UTF8 + b'{"name": "New"}'),
    row("utf-16", 415, "unsupported_media_type", body='{"name": "New"}'.encode("utf-16")),
    row("utf-16-without-bom", 400, "parse_error", body='{"name": "New"}'.encode("utf-16-le")),
    row("utf-32", 415, "unsupported_media_type", body='{"name": "New"}'.encode("utf-32")),
    row("latin-1", 415, "unsupported_media_type", body='{"name": "Café"}'.encode("latin-1")),
    row("overlong", 415, "unsupported_media_type", body=b'{"name": "\xc0\xaf"}'),
    row("utf-8-surrogate", 415, "unsupported_media_type", body=b'{"name": "\xed\xa0\x80"}'),
    *(
        row(
            f"charset-{charset}",
            415,
            "unsupported_media_type",
            body=b'{"name": "New"}',
            content_type=f"application/json; charset={charset}",
        )
        for charset in ("latin-1", "utf-16", "utf-7", "hex", "nonsense", "")
    ),
    # Characters
    *(
        row(f"surrogate-{name}", 400, "parse_error", body=body)
        for name, body in (
            ("high", rb'{"name": "\ud800"}'),
            ("low", rb'{"name": "\udc00"}'),
            ("swapped", rb'{"name": "\ude00\ud83d"}'),
            ("in-key", rb'{"\ud800": 1}'),
            ("in-config", IN_CONFIG % rb'"\ud800x"'),
        )
    ),
    *(
        row(f"nul-{name}", 400, "parse_error", path=DEVICES, body=body)
        for name, body in (
            ("in-text", rb'{"name": "a\u0000b"}'),
            ("in-unknown-field", rb'{"unknown": "\u0000"}'),
            ("in-config", IN_CONFIG % rb'["\u0000"]'),
            ("in-key", IN_CONFIG % rb'{"a\u0000": 1}'),
            ("raw", b'{"name": "a\0b"}'),
        )
    ),
    # Depth
    row("deep-lists", 400, "parse_error", path=DEVICES, body=nested(MAX_DEPTH + 1)),
    row(
        "deep-objects",
        400,
        "parse_error",
        path=DEVICES,
        body=nested(MAX_DEPTH + 1, b'{"a":', b"}"),
    ),
    row(
        "deep-config",
        400,
        "parse_error",
        path=DEVICES,
        body=IN_CONFIG % nested(MAX_DEPTH - 1),
    ),
    row("deeper", 400, "parse_error", path=DEVICES, body=IN_CONFIG % nested(1000)),
    row("deepest", 400, "parse_error", path=DEVICES, body=b"[" * 100_000),
    # Numbers
    *(
        row(f"number-{number[:20]}", 400, "parse_error", path=path, body=body)
        for number in (
            *("NaN", "-NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e22", "-1e22"),
            *(str(MAX_NUMBER), str(-MAX_NUMBER - 1), str(float(MAX_NUMBER)), str(2**64)),
            *("18446744073709551615", "9" * 5000, "01", "+1", ".5", "1.", "0x10", "1_000"),
        )
        for path, body in (
            (DEVICES, IN_CONFIG % number.encode()),
            (CHECKS, b'{"is_healthy": true, "response_data": [%b]}' % number.encode()),
        )
    ),
    # Grammar
    *(
        row(f"grammar-{body[:20]!r}", 400, "parse_error", body=body)
        for body in (
            *(b" ", b"{", b"}", b"[]]", b'{"name": "New"', b'{"name": "New"} {}', b'{"name"}'),
            *(b"{'name': 'New'}", b'{"name": "New",}', b'{name: "New"}', b'{"name": undefined}'),
            *(b'{"name": "New"} // note', b'{"name": "a\nb"}', b'{"name": "\\x"}', b"name=New"),
        )
    ),
    # Not an object
    *(
        row(f"{method}-{body!r}", 400, "invalid", "non_field_errors", **request, body=body)
        for method, request in (
            ("site", {"path": SITES}),
            ("device", {"path": DEVICES}),
            ("site-device", {"path": SITE_DEVICES}),
            ("check", {"path": CHECKS}),
            ("put", {"path": SITE, "method": "PUT"}),
            ("patch", {"path": DEVICE, "method": "PATCH"}),
        )
        for body in (b"[]", b'[{"name": "New"}]', b'"name"', b"null", b"true", b"0", b"1.5")
    ),
    # Nothing
    row("empty-site", 400, "invalid", "name", body=b""),
    row("empty-device", 400, "invalid", "name", "site_id", path=DEVICES, body=b"{}"),
    row("empty-check", 400, "invalid", "is_healthy", path=CHECKS, body=b""),
    row("empty-form", 400, "invalid", "name", body=b"", content_type=FORM),
    # Labels
    *(
        row(f"label-{label[:30]}", 415, "unsupported_media_type", body=body, content_type=label)
        for label, body in (
            (FORM, b"name=New"),
            (FORM, b'"name"'),
            (FORM, b"%7B%22name%22%3A%22New%22%7D"),
            ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--\r\n"),
            ("multipart/form-data", b'{"name": "New"}'),
            ("text/plain", b'{"name": "New"}'),
            ("application/xml", b"<name/>"),
            ("application/x-ndjson", b'{"name": "New"}'),
            ("json", b'{"name": "New"}'),
            (";", b'{"name": "New"}'),
            ("é/\xff", b'{"name": "New"}'),
            ("", b'{"name": "New"}'),
        )
    ),
]

NOT_TEXT = (None, True, [], {}, ["x"], {"a": 1})
NOT_A_TIME = (
    *("", "tomorrow", "2026-01-31", "2026-01-31T08:00:00", "2026-02-30T08:00:00Z"),
    *("2016-12-31T23:59:60Z", "2026-01-31T25:00:00Z", "2026-01-31T08:00:00+25:00"),
    *("1999-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59-23:59", "2000-01-01T00:00:00+00:01", "2199-12-31T23:59:59-00:01"),
    *("0000-01-01T00:00:00Z", "99999999-01-01T00:00:00Z", "-2026-01-31T08:00:00Z", "9" * 5000),
)

FIELDS = [
    # Sites
    *refused_field(SITES, "site_id", *NOT_TEXT, "", " ", "-x", ".x", "a b", "a/b", "a\nb", "é"),
    *refused_field(SITES, "site_id", "x" * 51),
    *refused_field(SITES, "name", *NOT_TEXT, "", " ", "\t\n", "x" * 101, "🥐" * 101),
    *refused_field(SITES, "name", "a\nb", "a\x07b", "a\x7fb", "a\x85b", "a\x1b[31mb"),
    *refused_field(SITES, "name", "A\u202eB", "A\u2066B"),
    *refused_field(SITES, "description", None, [], "x" * 10_001),
    *refused_field(SITES, "location", None, {}, "x" * 201),
    *refused_field(
        *(SITES, "timezone", *NOT_TEXT, "", "Mars/Olympus", "europe/berlin", "UTC+1"),
        *("../../../etc/passwd", "x" * 65),
    ),
    *(
        refused
        for name, limit in (("latitude", 90), ("longitude", 180))
        for refused in refused_field(
            *(SITES, name, limit + 0.001, -limit - 1, 1e15, "nan", "NaN", "inf", "-Infinity"),
            *("1e400", "", "north", "9" * 1001, True, False, [], {}),
        )
    ),
    *refused_field(SITE, "name", "", None, "x" * 101, method="PATCH"),
    *refused_field(SITE, "site_id", "site-901", "", method="PATCH"),
    # Devices
    *refused_field(DEVICES, "site_id", *NOT_TEXT, "", "site-none", "site-900 \n.", "x" * 5000),
    *refused_field(DEVICES, "device_id", *NOT_TEXT, "", "-x", "a b", "x" * 101),
    *refused_field(SITE_DEVICES, "name", *NOT_TEXT, "", "x" * 101, "a\rb"),
    *refused_field(
        *(DEVICES, "device_type", *NOT_TEXT, "", "toaster", "POS_TERMINAL", "pos_terminal\n", 1),
    ),
    *refused_field(
        *(DEVICES, "ip_address", "", "999.1.1.1", "1.2.3", "01.2.3.4", "1.2.3.4/24", "::g"),
        *("1:2:3:4:5:6:7:8:9", "1" * 5000, 16909060, True, [], {}),
    ),
    *refused_field(
        *(DEVICES, "mac_address", *NOT_TEXT, "00:1a:2b:3c:4d", "00:1a:2b:3c:4d:5g"),
        *("001a2b3c4d5e", "00:1a:2b:3c:4d:5e:6f", "x" * 5000, "0\uff11:1a:2b:3c:4d:5e"),
    ),
    *refused_field(DEVICES, "firmware_version", *NOT_TEXT, "x" * 51),
    *refused_field(DEVICES, "config", None, [], "{}", 5, True),
    *refused_field(DEVICE, "device_id", "till-2", method="PATCH"),
    *refused_field(DEVICE, "site_id", "site-901", "site-none", None, method="PATCH"),
    # Health checks
    *refused_field(CHECKS, "is_healthy", None, "", "maybe", 2, -1, 0.5, [], {}),
    *refused_field(
        *(CHECKS, "response_time_ms", -1, 2**31, 2**62, 1.5, "1.5", "", "soon", "nan"),
        *("9" * 300, "9" * 1001, True, [], {}),
    ),
    *refused_field(
        *(CHECKS, "status_code", 99, 600, 0, -1, 65_536, 2**62, 200.5, "OK", True, [], {}),
    ),
    *refused_field(CHECKS, "endpoint", None, [], "x" * 201),
    *refused_field(CHECKS, "error_message", None, {}, "x" * 10_001),
    *refused_field(
        CHECKS,
        "reported_at",
        *NOT_A_TIME,
        0,
        1_767_225_600,
        True,
        [],
        {},
    ),
]


GROWS = ("\ufb03" * 20, "\ufdfa" * 10)  # each of them becomes several letters
BAD_NAMES = ("", "é", "a b", "-x", "a\nb", "a:b", "x" * 51, *GROWS)
BAD_ADDRESSES = ("", "x", "x@", "a@b@example.com", "a b@example.com", "a@example.com\nb")
LONG_ADDRESSES = (f"{'x' * 60}@{'x' * 40}.example.com", f"a@{'ﬃ' * 20}.{'ﬃ' * 20}.de")
ACCOUNTS = [
    *(
        refused
        for path in (USERS, SIGN_UP)
        for name, values in (
            ("username", (*NOT_TEXT, *BAD_NAMES)),
            ("email", (*NOT_TEXT, *BAD_ADDRESSES, *LONG_ADDRESSES)),
            ("full_name", ([], {}, True, "x" * 101, "a\nb", "a\x1b[31mb")),
            ("password", (None, "", 12345678, "short", "12345678901", "x" * 4097, [], {}, True)),
        )
        for refused in refused_field(path, name, *values, role=Role.ADMIN)
    ),
    *refused_field(USERS, "role", *NOT_TEXT, "", "root", "ADMIN", role=Role.ADMIN),
    *refused_field(USERS, "site_access", *NOT_TEXT, "", "some", role=Role.ADMIN),
    *refused_field(USERS, "is_active", "maybe", [], {}, 2, role=Role.ADMIN),
    *refused_field(
        *(USERS, "site_ids", None, "site-900", {}, 1, [1], ["site-none"], [[]], [None]),
        *([""], ["x" * 51], ["site-900"] * 10_001),
        role=Role.ADMIN,
    ),
    *refused_field(SIGN_IN, "username", *NOT_TEXT, "x" * 5000),
    *refused_field(SIGN_IN, "password", *NOT_TEXT, "", 12345678),
    *(
        row(
            f"sign-in-{name!r}-{password[:10]!r}",
            *(401, "invalid_credentials"),
            path=SIGN_IN,
            body={"username": name, "password": password},
        )
        for name, password in (
            *(("taken", PASSWORD), ("nobody", PASSWORD), ("' OR 1=1 --", "x"), ("é🥐", "🥐")),
            *(("taken", "x" * 4096), ("taken", "x" * 4097), ("taken", "x" * 500_000)),
        )
    ),
    *(
        row(
            f"user-{method}-{part[:20]}",
            *(404, "not_found"),
            method=method,
            path=f"{USERS}/{part}",
            role=Role.ADMIN,
        )
        for part in ("0", "-1", "x", "1.5", "9" * 18, "9" * 19, "9" * 5000, "%D9%A1", "1%0A")
        for method in ("GET", "DELETE")
    ),
    *(
        row(
            f"bearer-{token[:20]!r}",
            *(401, "authentication_failed"),
            method="GET",
            environ={"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_X_API_KEY": None},
        )
        for token in ("", "x", "\xff", "a b", "\n", "x" * 2**20, "00" * 32)
    ),
]


def get(id, path, query, *errors):
    return row(id, 400, "invalid", *errors, method="GET", path=path, query=query)


def cursor(*parts):
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


NEWEST, BY_NAME = "sites -created_at", "sites name"
TIME = "2026-01-31T08:00:00+00:00"
FORGED_CURSORS = {
    "empty": "",
    "no-base64": "!!!",
    "standard-base64": "+/+/",
    "non-ascii": "%C3%A9",
    "bytes": "_____w",
    "no-json": base64.urlsafe_b64encode(b"no json").decode(),
    "object": base64.urlsafe_b64encode(b"{}").decode(),
    "number": base64.urlsafe_b64encode(b"1").decode(),
    "deep": base64.urlsafe_b64encode(b"[" * 5000).decode(),
    "short": cursor(NEWEST, TIME, 1),
    "long": cursor(NEWEST, TIME, 1, False, 1),
    "other-order": cursor("sites created_at", TIME, 1, False),
    "other-list": cursor("devices -created_at", TIME, 1, False),
    "order-is-a-number": cursor(1, TIME, 1, False),
    "value-is-null": cursor(NEWEST, None, 1, False),
    "value-is-a-number": cursor(NEWEST, 1_767_225_600, 1, False),
    "value-is-an-object": cursor(NEWEST, {}, 1, False),
    "value-is-a-list": cursor(NEWEST, [TIME], 1, False),
    "value-is-no-time": cursor(NEWEST, "Main Store", 1, False),
    "time-without-offset": cursor(NEWEST, "2026-01-31T08:00:00", 1, False),
    "time-is-a-day": cursor(NEWEST, "2026-01-31", 1, False),
    "time-too-early": cursor(NEWEST, "0001-01-01T00:00:00+23:59", 1, False),
    "time-too-late": cursor(NEWEST, "9999-12-31T23:59:59-23:59", 1, False),
    "id-is-text": cursor(NEWEST, TIME, "1", False),
    "id-is-null": cursor(NEWEST, TIME, None, False),
    "id-is-a-fraction": cursor(NEWEST, TIME, 1.5, False),
    "id-is-beyond-64-bits": cursor(NEWEST, TIME, 2**63, False),
    "id-is-huge": base64.urlsafe_b64encode(
        f'["{NEWEST}","{TIME}",{"9" * 300},false]'.encode()
    ).decode(),
    "direction-is-a-number": cursor(NEWEST, TIME, 1, 1),
    "direction-is-null": cursor(NEWEST, TIME, 1, None),
}

QUERIES = [
    get("unknown", SITES, "colour=red", "colour"),
    get("two-unknown", SITES, "colour=red&size=1&limit=1", "colour", "size"),
    get("case", SITES, "Limit=1", "Limit"),
    get("format", SITES, "format=xml", "format"),
    get("key-in-query", SITES, "api_key=hpk_x", "api_key"),
    get("lookup", DEVICES, "site__enrolment_key=x", "site__enrolment_key"),
    get("other-lists-filter", SITES, "device_type=kiosk", "device_type"),
    get("site-filter-below-site", SITE_DEVICES, "site_id=site-901", "site_id"),
    get("detail", SITE, "limit=1", "limit"),
    get("health", SITE_HEALTH, "x", "x"),
    row("post", 400, "invalid", "dry_run", query="dry_run=true", body=NEW_SITE),
    row("delete", 400, "invalid", "x", method="DELETE", path=DEVICE, query="x=1"),
    get("markup", SITES, "%3Cscript%3E=1", "<script>"),
    get("empty-name", SITES, "=1", ""),
    get("repeated", SITES, "limit=1&limit=2", "limit"),
    get("repeated-filter", DEVICES, "status=online&status=offline", "status"),
    row(
        *("many", 400, "bad_request"),
        method="GET",
        query="&".join(f"a{number}=1" for number in range(1001)),
    ),
    *(
        get(f"limit-{limit[:20]}", SITES, f"limit={limit}", "limit")
        for limit in (
            "",
            "-",
            "x",
            "1.5",
            "1e3",
            "%2B1",
            "--1",
            "0x10",
            "%D9%A3",
            "%EF%BC%91",
            "1 1",
        )
    ),
    *(
        get(f"ordering-{ordering[:20]}", SITES, f"ordering={ordering}", "ordering")
        for ordering in (
            *(
                "colour",
                "-colour",
                "--name",
                "-",
                "id",
                "pk",
                "NAME",
                "name,site_id",
                "?",
                "%2Bname",
            ),
            *("enrolment_key", "devices__name", "name%3B%20DROP%20TABLE%20sites", "x" * 5000),
        )
    ),
    *(get(f"count-{word}", SITES, f"count={word}", "count") for word in ("", "maybe", "2", "null")),
    *(
        get(f"cursor-{name}", SITES, f"cursor={text}", "cursor")
        for name, text in FORGED_CURSORS.items()
    ),
    *(
        get(f"cursor-of-names-{name}", SITES, f"ordering=name&cursor={text}", "cursor")
        for name, text in {
            "other-order": cursor(NEWEST, TIME, 1, False),
            "number": cursor(BY_NAME, 5, 1, False),
            "object": cursor(BY_NAME, {"name": "x"}, 1, False),
            "null": cursor(BY_NAME, None, 1, False),
            "nul": cursor(BY_NAME, "a\0b", 1, False),
            "surrogate": base64.urlsafe_b64encode(rb'["sites name","\ud800",1,false]').decode(),
        }.items()
    ),
    get("status", DEVICES, "status=broken", "status"),
    get("status-case", DEVICES, "status=Online", "status"),
    get("device-type", DEVICES, "device_type=toaster", "device_type"),
    get("lifecycle", SITE_DEVICES, "lifecycle_state=null", "lifecycle_state"),
    get("two-filters", DEVICES, "status=x&device_type=x", "status", "device_type"),
    *(
        get(f"long-search-{path}", path, f"search={'a' * 60_000}", "search")
        for path in (SITES, DEVICES, SITE_DEVICES)
    ),
    get("healthy", CHECKS, "is_healthy=maybe", "is_healthy"),
    get("healthy-2", CHECKS, "is_healthy=2", "is_healthy"),
    *(
        get(f"since-{time[:30]}", CHECKS, f"since={time}", "since")
        for time in NOT_A_TIME
        if time  # an empty filter does not filter
    ),
    get("until", CHECKS, "until=2026-01-31T08:00:00", "until"),
    # A plus sign that was not escaped is a space.
    get("until-plus", CHECKS, "until=2026-01-31T08:00:00+00:00", "until"),
    *(
        row(f"bytes-{query}", 400, "bad_request", method="GET", path=path, query=query)
        for path, query in (
            (SITES, "search=%00"),
            (SITES, "search=a%00b"),
            (SITES, "%00=1"),
            (SITES, "search=%ff"),
            (SITES, "%ff=1"),
            (SITES, "search=%c0%af"),
            (SITES, "search=%ed%a0%80"),
            (SITES, "search=%f5%80%80%80"),
            (SITES, "search=%e2%82"),
            (DEVICE, "%00"),
            (SITE_HEALTH, "a=%fe"),
        )
    ),
    row(
        *("raw-latin-1", 400, "bad_request"),
        method="GET",
        environ={"QUERY_STRING": "search=caf\xe9"},
    ),
]

BAD_PATH_BYTES = ("%00", "a%00", "%ff", "a%ffb", "%c0%af", "%ed%a0%80", "%e2%82", "%f5%80%80%80")
NO_IDS = (
    *("%20", "a%20b", "-x", ".", "..", "_x", "%C3%A9", "site-900%0A", "%0Asite-900", "site-900%0D"),
    *("%zz", "%", "site-900%2F..", "site-900;x", "site-900%3F", "<script>"),
    *("site-none", "x" * 5000, "9" * 400, "%F0%9F%A5%90", "SITE-900", "site-900."),
)

PATHS = [
    *(
        row(f"bytes-{method}-{path}", 400, "bad_request", method=method, path=path, body=body)
        for part in BAD_PATH_BYTES
        for method, path, body in (
            ("GET", f"{SITES}/{part}", b""),
            ("POST", f"/api/v1/devices/sites/{part}/devices", NEW_SITE),
            ("GET", f"/api/{part}", b""),
        )
    ),
    row("raw-latin-1", 400, "bad_request", method="GET", environ={"PATH_INFO": f"{SITES}/caf\xe9"}),
    row("nul-in-static", 400, "bad_request", method="GET", path="/api/../static/%00"),
    *(
        row(f"id-{method}-{path[:60]}", 404, "not_found", method=method, path=path, body=body)
        for part in NO_IDS
        for method, path, body in (
            ("GET", f"{SITES}/{part}", b""),
            ("PATCH", f"{DEVICES}/{part}", NEW_SITE),
            ("POST", f"{DEVICES}/{part}/health-checks", CHECK),
            ("GET", f"/api/v1/devices/sites/{part}/devices", b""),
        )
    ),
    *(
        row(f"no-route-{method}-{path}", 404, "not_found", method=method, path=path)
        for method in ("GET", "POST", "TRACE")
        for path in (
            *("/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/sites/sites", "/api/v1/nothing"),
            *(f"{SITES}//", f"{SITES}%0A", f"{SITE}/%0A", "/api/v1//sites/sites", f"{SITE}/x"),
            *(f"{CHECKS}/1", f"{SITE_HEALTH}.json", "/api/v1/Sites/sites", "/api/v1/docs/x"),
        )
    ),
]


def not_allowed(method, path):
    return row(f"{method}-{path}", 405, "method_not_allowed", method=method, path=path)


METHODS = [
    *(
        not_allowed(method, path)
        for path, methods in {
            SITES: ("PUT", "PATCH", "DELETE"),
            SITE: ("POST"),
            DEVICES: ("PUT", "PATCH", "DELETE"),
            DEVICE: ("POST"),
            SITE_DEVICES: ("PUT", "PATCH", "DELETE"),
            CHECKS: ("PUT", "PATCH", "DELETE"),
            SITE_HEALTH: ("POST", "PUT", "PATCH", "DELETE"),
        }.items()
        for method in (*methods, "TRACE", "CONNECT", "PROPFIND", "LIST", "RETRIEVE", "M-SEARCH")
    ),
]

UNKNOWN_KEYS = {
    "empty": "",
    "word": "nonsense",
    "prefix": "hpk_",
    "other-kind": "hpd_" + "x" * 43,
    "latin-1": "hpk_\xff\xfe",
    "newline": "hpk_x\n",
    "nul": "hpk_\0",
    "list": "hpk_a, hpk_b",
    "quote": "' OR 1=1 --",
    "megabyte": "x" * 2**20,
}
HEADERS = [
    *(
        row(
            *(f"key-{name}", 401, "authentication_failed"),
            method="GET",
            environ={"HTTP_X_API_KEY": value},
        )
        for name, value in UNKNOWN_KEYS.items()
    ),
    *(
        row(f"accept-{accept}", 406, "not_acceptable", method=method, environ=environ)
        for accept in (
            "text/html",
            "application/xml;q=0.9",
            "*",
            "nonsense",
            ";",
            "text/*, image/*",
        )
        for method, environ in (
            ("GET", {"HTTP_ACCEPT": accept}),
            ("POST", {"HTTP_ACCEPT": accept}),
        )
    ),
    *(
        row(f"host-{host}", 400, "bad_request", method="GET", environ={"HTTP_HOST": host})
        for host in ("evil.example.com", "", "a b", "testserver:x", "[::1", "é", "<script>")
    ),
    row(
        *("cookie-with-nul", 400, "bad_request"),
        method="GET",
        environ={"HTTP_COOKIE": r'sessionid="abcdefgh\000"', "HTTP_X_API_KEY": "x"},
    ),
]


@pytest.mark.parametrize("row", [*BODIES, *FIELDS, *ACCOUNTS, *QUERIES, *PATHS, *METHODS, *HEADERS])
def test_bad_input_is_refused_and_changes_nothing(fleet, call, row):
    keys, lists = fleet

    answer = call(row)

    assert_problem(answer, row.status, row.code, row.errors)
    assert not [key for key in keys.values() if key in answer.content.decode()]
    assert answer["X-Request-ID"]
    assert ("Allow" in answer) or row.status in (400, 404)
    # A refusal may be on record, a change may not.
    assert not AuditLog.objects.filter(outcome=Outcome.SUCCESS).exists()
    assert read_lists(keys) == lists


@pytest.mark.parametrize("row", METHODS)
def test_405_names_the_methods_that_are_allowed(call, row):
    answer = call(row)
    allowed = {method.strip() for method in answer["Allow"].split(",")}
    assert row.method not in allowed
    assert "GET" in allowed
    for method in allowed - {"POST", "PUT", "PATCH", "DELETE"}:
        assert call(Row(200, "", method=method, path=row.path)).status_code == 200


GOOD_TEXTS = (
    *(
        "Bäckerei 🥐 東",
        "مخبز الحي",
        "מאפייה",
        "👩‍👩‍👧‍👦",
        "e\u0301",
        "A\u200fB",
        "x" * 100,
        "🥐" * 100,
    ),
    *(
        "<script>alert(1)</script>",
        "'; DROP TABLE sites; --",
        "%s {0} ${x} {{ x }}",
        "\\",
        '"',
        "5",
    ),
)
GOOD_CONFIG = (
    *(MAX_NUMBER - 1, -MAX_NUMBER, 9.2e18, -9.2e18, 1e16, 1e15, 0.1, 5e-324, 1e-7, 2.5, True, None),
    *("", "\u2028", "\uffff", "🥐", [], {}, [[]], {"": ""}, {"a": {"b": [1, "2", None]}}, "NaN"),
)
ACCEPTED = [
    *(pytest.param(SITES, {"name": text}, {"name": text}, id=text[:20]) for text in GOOD_TEXTS),
    *(
        pytest.param(DEVICES, NEW_DEVICE | {"config": {"x": value}}, None, id=f"config-{value!r}")
        for value in GOOD_CONFIG
    ),
    *(
        pytest.param(CHECKS, CHECK | {"response_data": value}, None, id=f"data-{value!r}")
        for value in GOOD_CONFIG
    ),
    *(
        pytest.param(CHECKS, {"is_healthy": given}, {"is_healthy": kept}, id=f"bool-{given!r}")
        for given, kept in (
            *((True, True), ("true", True), ("yes", True), (1, True), ("1", True), (1.0, True)),
            *((False, False), ("False", False), ("off", False), (0, False), ("0", False)),
        )
    ),
    *(
        pytest.param(CHECKS, CHECK | given, kept, id=f"number-{next(iter(given.values()))!r}")
        for given, kept in (
            ({"response_time_ms": 0}, None),
            ({"response_time_ms": 2**31 - 1}, None),
            ({"response_time_ms": "42"}, {"response_time_ms": 42}),
            ({"response_time_ms": 42.0}, {"response_time_ms": 42}),
            ({"response_time_ms": None}, None),
            ({"status_code": 100}, None),
            ({"status_code": 599}, None),
        )
    ),
    *(
        pytest.param(SITES, NEW_SITE | given, kept, id=f"site-{next(iter(given.values()))!r}")
        for given, kept in (
            ({"latitude": 90, "longitude": -180}, None),
            ({"latitude": "52.5"}, {"latitude": 52.5}),
            ({"latitude": -0.0}, {"latitude": 0}),
            ({"latitude": None}, None),
            ({"name": 5}, {"name": "5"}),
            ({"name": "  New \n"}, {"name": "New"}),
            ({"description": "x" * 10_000}, None),
            ({"description": "two\nlines"}, None),
            ({"location": "x" * 200}, None),
            ({"site_id": "x" * 50}, None),
            ({"unknown": {"is": "ignored"}}, {"name": "New"}),
        )
    ),
    *(
        pytest.param(DEVICES, NEW_DEVICE | given, kept, id=f"device-{next(iter(given.values()))}")
        for given, kept in (
            ({"ip_address": "255.255.255.255"}, None),
            ({"ip_address": "2001:DB8:0::1"}, {"ip_address": "2001:db8::1"}),
            ({"ip_address": "::ffff:a00:1"}, {"ip_address": "10.0.0.1"}),
            ({"ip_address": "fe80::1%eth0"}, {"ip_address": "fe80::1"}),
            ({"ip_address": None}, None),
            ({"mac_address": "00-1A-2B-3C-4D-5E"}, {"mac_address": "00:1a:2b:3c:4d:5e"}),
            ({"mac_address": ""}, None),
            ({"os_details": None}, None),
            ({"os_details": "Windows"}, None),
            ({"device_id": "x" * 100}, None),
        )
    ),
]


@pytest.mark.parametrize(("path", "body", "kept"), ACCEPTED)
def test_good_input_is_kept_on_both_engines(keys, call, path, body, kept):
    answer = call(Row(201, "", path=path, body=body))

    assert answer.status_code == 201, answer.content
    assert (body if kept is None else kept).items() <= answer.json().items()
    read_lists(keys)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"),
        ("2199-12-31T23:59:59.999999Z", "2199-12-31T23:59:59.999999Z"),
        ("2026-01-31T08:00:00+14:00", "2026-01-30T18:00:00Z"),
        ("2026-01-31T08:00:00.5-12:00", "2026-01-31T20:00:00.500000Z"),
        (None, None),
    ],
)
def test_times_are_kept_in_utc(keys, call, given, kept):
    answer = call(Row(201, "", path=CHECKS, body=CHECK | {"reported_at": given}))

    assert answer.status_code == 201, answer.content
    assert answer.json()["reported_at"] == kept
    read_lists(keys)


def test_negative_zero_is_stored_as_zero(keys, call):
    zeros = b'{"x": [-0.0, -0, 0.0, -0e5, {"y": -0.0}]}'
    device = call(
        Row(
            201,
            "",
            path=DEVICES,
            body=b'{"site_id": "site-900", "name": "Z", "config": %b}' % zeros,
        )
    ).json()
    check = call(
        Row(201, "", path=CHECKS, body=b'{"is_healthy": true, "response_data": %b}' % zeros)
    ).json()

    assert device["config"] == check["response_data"] == {"x": [0, 0, 0, 0, {"y": 0}]}
    with connection.cursor() as cursor:
        for sql, row_id in (
            ("SELECT CAST(config AS text) FROM devices WHERE device_id = %s", device["device_id"]),
            ("SELECT CAST(response_data AS text) FROM health_checks WHERE id = %s", check["id"]),
        ):
            cursor.execute(sql, [row_id])
            assert cursor.fetchone() == ('{"x": [0, 0, 0, 0, {"y": 0}]}',)


def test_large_whole_floats_are_answered_alike_on_both_engines(call):
    answer = call(Row(201, "", path=CHECKS, body=CHECK | {"response_data": [1e16, -1e17, 1e15]}))
    told = answer.content.replace(b" ", b"")  # written as it is stored
    assert b"[10000000000000000,-100000000000000000,1000000000000000.0]" in told


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"site_id": "site-900", "name": "Last", "config": {"x": "%b"}}', JSON),
        (b'{"name": "First", "site_id": "site-900", "name": "Last"}', JSON),
        (b'\t{"name": "Last", "site_id": "site-900"}\r\n ', JSON),
        (IN_CONFIG.replace(b"New", b"Last") % nested(MAX_DEPTH - 2), JSON),
        (b'{"name": "Last", "site_id": "site-900"}', "application/json; charset=utf-8"),
        (b'{"name": "Last", "site_id": "site-900"}', 'Application/JSON;charset="UTF8"'),
        # What `curl -d` says of its data when nobody tells it otherwise.
        (b'{"name": "Last", "site_id": "site-900"}', FORM),
    ],
    ids=["at-the-limit", "repeated-key", "space", "depth-32", "charset", "quoted", "curl"],
)
def test_unusual_bodies_are_read(keys, call, body, content_type):
    if b"%b" in body:
        body %= b"a" * (MAX_BODY_BYTES - len(body) + len("%b"))
        assert len(body) == MAX_BODY_BYTES

    answer = call(Row(201, "", path=DEVICES, body=body, content_type=content_type))

    assert answer.status_code == 201, answer.content[:500]
    assert answer.json()["name"] == "Last"
    read_lists(keys)


def test_cursors_of_each_list_are_taken_back(keys, call):
    for number in range(3):
        call(Row(201, "", body={"name": f"Store {number}"}))
        call(Row(201, "", path=DEVICES, body=NEW_DEVICE | {"name": f"Till {number}x"}))
        call(Row(201, "", path=CHECKS, body=CHECK))
    client = Client(headers={"X-API-Key": keys[Role.OPERATOR]})
    for path in (SITES, DEVICES, SITE_DEVICES, CHECKS):
        first = client.get(path, {"limit": "2", "count": "true"}).json()
        second = client.get(first["next"])
        assert second.status_code == 200, second.content
        assert client.get(second.json()["previous"]).json()["next"] == first["next"]


# Each request has the faults of all lines below its own as well.
FAULTS = [
    (
        400,
        "bad_request",
        {"method": "FOO", "path": f"{SITES}/%ff", "environ": {"HTTP_X_API_KEY": "x"}},
    ),
    (401, "authentication_failed", {"method": "PUT", "environ": {"HTTP_X_API_KEY": "x"}}),
    (403, "permission_denied", {"method": "PUT", "is_viewer": True}),
    (405, "method_not_allowed", {"method": "PUT"}),
    (400, "invalid", {"method": "PUT", "path": f"{SITES}/site-none", "query": "x=1"}),
    (415, "unsupported_media_type", {"method": "PUT", "path": f"{SITES}/site-none"}),
    (413, "payload_too_large", {"path": f"{DEVICES}/till-none/health-checks", "too_large": True}),
    (400, "parse_error", {"path": f"{DEVICES}/till-none/health-checks", "content_type": JSON}),
    (404, "not_found", {"path": f"{DEVICES}/till-none/health-checks", "body": {"is_healthy": 2}}),
    (400, "invalid", {"body": {"site_id": "site-900", "name": ""}}),
    (409, "already_exists", {"body": {"site_id": "site-900", "name": "Taken"}}),
]


@pytest.mark.parametrize(
    ("status", "code", "request_"), FAULTS, ids=[f"{status}-{code}" for status, code, _ in FAULTS]
)
def test_of_several_faults_the_first_of_the_contract_is_named(keys, call, status, code, request_):
    request = dict(request_)
    environ = {}
    if request.pop("is_viewer", False):
        environ["HTTP_X_API_KEY"] = make_api_key(make_user(role=Role.VIEWER))
    if request.pop("too_large", False):
        request |= {"environ": {"CONTENT_LENGTH": str(TOO_LARGE)}, "content_type": JSON}
    if "body" not in request:
        request = {"body": b"{not json", "content_type": "text/plain"} | request

    answer = call(Row(status, code, **request), **environ)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert answer["Content-Type"] == PROBLEM


AUTHORIZATIONS = (
    "",
    "Bearer",
    "Basic eDp5",
    "Bearer \xff",
    "Bearer a b",
    "x" * 10_000,
    "Digest ,,=",
)


@pytest.mark.parametrize("authorization", AUTHORIZATIONS)
def test_garbage_in_authorization_signs_nobody_in(authorization):
    answer = Client().get(SITES, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer["Content-Type"] == PROBLEM
    assert answer["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("0123456789abcdef", True),
        ("a.b-c_D1", True),
        *(
            (value, False)
            for value in ("", "short", "x" * 65, "abcdefgh\n", "abcd efgh", "abcdefgé")
        ),
        *((value, False) for value in ("<script>alert(1)</script>", "abcdefgh\r\nSet-Cookie: a=b")),
    ],
)
def test_a_harmful_request_id_is_replaced(call, given, is_kept):
    answer = call(Row(200, "", method="GET", environ={"HTTP_X_REQUEST_ID": given}))
    assert answer.status_code == 200
    assert (answer["X-Request-ID"] == given) is is_kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", answer["X-Request-ID"])


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("", "127.0.0.1"),
        ("garbage", "127.0.0.1"),
        (",,,", "127.0.0.1"),
        ("\xff", "127.0.0.1"),
        ("1.2.3.4:80", "127.0.0.1"),
        ("1.2.3.4, garbage", "127.0.0.1"),
        ("garbage, 1.2.3.4", "1.2.3.4"),
        ("9.9.9.9, 1.2.3.4 ", "1.2.3.4"),
        ("fe80::1%" + "x" * 1000, "fe80::1"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ("1" * 10_000, "127.0.0.1"),
    ],
)
def test_audit_takes_whatever_proxies_and_agents_say(settings, call, forwarded, address):
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
    agent = "till\x00\x1b\xff " + "x" * 1000

    answer = call(
        Row(201, "", body=NEW_SITE), HTTP_X_FORWARDED_FOR=forwarded, HTTP_USER_AGENT=agent
    )

    assert answer.status_code == 201, answer.content
    logged = AuditLog.objects.get()
    assert ip_address(logged.ip_address) == ip_address(address)
    assert logged.user_agent == ("tillÿ " + "x" * 1000)[:500]


def test_an_address_of_an_untrusted_peer_is_the_peers_own(call):
    call(Row(201, "", body=NEW_SITE), HTTP_X_FORWARDED_FOR="1.2.3.4")
    assert AuditLog.objects.get().ip_address == "127.0.0.1"


@pytest.mark.parametrize(
    "body", [b"[]", b"[1]", b'{"csrfmiddlewaretoken": 1}', b'{"a": 1}', b"a=1"]
)
@pytest.mark.parametrize("content_type", [FORM, JSON, "multipart/form-data; boundary=x"])
def test_a_body_is_no_place_for_a_csrf_token(body, content_type):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(role=Role.OPERATOR))

    answer = client.generic("POST", SITES, body, content_type=content_type)

    assert_problem(answer, 403, "permission_denied")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"name": "New"}', JSON, 201),
        (b'{"name": "New"}', FORM, 201),
        (b"name=New", FORM, 415),
        (b"--x--", "multipart/form-data; boundary=x", 415),
        (b"a" * TOO_LARGE, FORM, 413),
    ],
)
def test_a_session_with_its_token_is_held_to_the_same_bodies(body, content_type, status):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(role=Role.OPERATOR))
    token = "x" * 32
    client.cookies["csrftoken"] = token

    answer = client.generic("POST", SITES, body, content_type=content_type, HTTP_X_CSRFTOKEN=token)

    assert answer.status_code == status, answer.content[:500]


UNREADABLE = (
    "application/json; charset*=nonsense''x",
    "application/json; a*=nonsense''x",
    "text/html, application/json; charset*=(''x",
)


@pytest.mark.parametrize("header", UNREADABLE)
def test_a_header_that_cannot_be_read_counts_as_missing(call, header):
    labelled = call(Row(415, "", body=b"{}", content_type=header))
    assert_problem(labelled, 415, "unsupported_media_type")
    for environ in ({"HTTP_ACCEPT": header}, {"CONTENT_TYPE": header}):
        assert call(Row(200, "", method="GET", environ=environ)).status_code == 200


@pytest.mark.parametrize(
    "charset", ["hex", "utf-7", "utf-16", "idna", "unicode_escape", "undefined", '""', "*=x''%00"]
)
@pytest.mark.parametrize(
    "query",
    # A lone surrogate in UTF-7, a NUL in unicode_escape.
    ["search=%2B2AA-", "search=%5Cx00", "search=caf%C3%A9"],
)
def test_the_charset_of_a_body_does_not_change_the_query(call, charset, query):
    environ = {"CONTENT_TYPE": f"application/json; charset={charset}"}
    answer = call(Row(200, "", method="GET", query=query, environ=environ))
    assert (answer.status_code, answer.json()["sites"]) == (200, [])


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [("DELETE", {}, 403), ("GET", {"Accept": JSON}, 406), ("GET", {"Accept": "nonsense"}, 406)],
)
def test_the_documentation_refuses_in_json(method, headers, status):
    answer = Client().generic(method, "/api/v1/docs", headers=headers)
    assert answer.status_code == status
    assert answer["Content-Type"] == PROBLEM
    assert answer.json()["status"] == status
