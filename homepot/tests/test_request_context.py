from __future__ import annotations

from ipaddress import ip_network

import pytest
from django.test import RequestFactory

from homepot.handler import TolerantRequest
from homepot.request_context import client_address, context_of


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ("", [], "192.0.2.1"),
        ("198.51.100.9", [], "192.0.2.1"),
        ("198.51.100.9", ["192.0.2.0/24"], "198.51.100.9"),
        ("203.0.113.5, 198.51.100.9", ["192.0.2.1/32"], "198.51.100.9"),
        ("203.0.113.5, 198.51.100.9", ["192.0.2.1/32", "198.51.100.9/32"], "203.0.113.5"),
        ("garbage, 198.51.100.9", ["192.0.2.1/32", "198.51.100.9/32"], "198.51.100.9"),
        ("2001:db8::5", ["192.0.2.1/32"], "2001:db8::5"),
    ],
)
def test_client_address_believes_trusted_proxies_only(settings, forwarded, proxies, address):
    settings.TRUSTED_PROXIES = [ip_network(proxy) for proxy in proxies]
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == address


@pytest.mark.parametrize("given", ["short", "x" * 65, "has space 123", "new\nline-123"])
def test_odd_request_ids_are_replaced(given):
    request = RequestFactory().get("/", HTTP_X_REQUEST_ID=given)
    assert context_of(request).request_id != given


@pytest.mark.parametrize(
    ("told", "proxies", "is_secure"),
    [
        ("https", ["192.0.2.1/32"], True),
        ("http, https", ["192.0.2.1/32"], True),
        ("https, http", ["192.0.2.1/32"], False),
        ("gopher", ["192.0.2.1/32"], False),
        ("https", [], False),
    ],
)
def test_tls_is_what_a_trusted_proxy_says(settings, told, proxies, is_secure):
    settings.TRUSTED_PROXIES = [ip_network(proxy) for proxy in proxies]
    environ = RequestFactory(REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_PROTO=told)._base_environ()
    assert TolerantRequest(environ).is_secure() is is_secure
