"""Requests as they go over the wire, from wrk and from Python alone."""

from __future__ import annotations

import re

import pytest

from benchmarks import client, wrk
from benchmarks.requests import NUMBER, Request, read_requests, write_requests

REQUESTS = [
    Request("GET", "/good?number=$NUMBER"),
    Request("POST", "/bad", {"X-Key": "k"}, {"name": f"Shop {NUMBER}"}),
]


@pytest.mark.parametrize("drive", [client.drive, wrk.drive])
def test_requests_are_sent_and_their_answers_counted(drive, server, tmp_path):
    if drive is wrk.drive and wrk.find_wrk() is None:
        pytest.skip("there is no wrk")
    file = tmp_path / "all.requests"
    write_requests(file, server.url, REQUESTS)
    load = drive(server.url, file, seconds=1, connections=3)
    assert load.unanswered == 0
    assert 0 < load.refused < load.requests
    assert 0 < load.p50_ms <= load.p99_ms
    shapes = {re.sub(r"\d{16}", "16 digits", str(seen)) for seen in server.seen}
    assert shapes == {
        "('GET', '/good?number=16 digits', None, '')",
        "('POST', '/bad', 'k', '{\"name\":\"Shop 16 digits\"}')",
    }
    # Another number each time.
    assert len(server.seen) > 2


def test_requests_come_back_from_their_file_as_they_are_sent(tmp_path):
    file = tmp_path / "all.requests"
    write_requests(file, "http://shop.example:81", REQUESTS)
    assert read_requests(file) == [request.spelled("shop.example:81") for request in REQUESTS]
    first, second = read_requests(file)
    assert first.startswith(b"GET /good?number=<a.new.number.a> HTTP/1.1\r\nHost: shop.example:81")
    assert b"Content-Length: 32\r\n\r\n" in second
