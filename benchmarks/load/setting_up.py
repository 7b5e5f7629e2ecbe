"""Work for some devices, so that they have outcomes to report."""

from __future__ import annotations

import urllib.request

import orjson

from benchmarks.fleet import SMALL_SITE_DEVICES, Fleet, device_key
from benchmarks.requests import Request

SITES = 40
ANSWER_SECONDS = 60


def make_outcomes(url: str, fleet: Fleet) -> list[Request]:
    """Reports of commands that the devices have fetched; each may be sent again."""
    outcomes = []
    for site in range(min(SITES, fleet.small_sites)):
        path = f"/api/v1/jobs/sites/shop-{site:05}/jobs"
        _send(url, Request("POST", path, {"X-API-Key": fleet.api_key}, {"action": "ping"}))
        for device in range(SMALL_SITE_DEVICES * site, SMALL_SITE_DEVICES * (site + 1)):
            headers = {"X-Device-ID": f"till-{device:06}", "X-API-Key": device_key(device)}
            [command] = _send(url, Request("GET", "/api/v1/devices/pending", headers))
            path = f"/api/v1/devices/{command['command_id']}/status"
            outcomes.append(Request("PUT", path, headers, {"status": "completed"}))
    return outcomes


def _send(url: str, request: Request) -> list[dict[str, str]]:
    asked = urllib.request.Request(
        url + request.path,
        method=request.method,
        headers={"Content-Type": "application/json", **request.headers},
        data=None if request.body is None else orjson.dumps(request.body),
    )
    with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS) as response:
        answer: list[dict[str, str]] = orjson.loads(response.read())
    return answer
