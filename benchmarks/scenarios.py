"""What is measured: a path, what is sent there, and what it should reach.

Budgets are ratios within one run: `rate` to the bare view's, or to another scenario's; `cpu` is
the most CPU of the web server a request may take, as a multiple of the bare view's.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.fleet import Fleet, device_key
from benchmarks.requests import NUMBER, Request

BATCH = 100
# Of each scenario, drawn from the whole fleet.
REQUESTS = 5000
BATCHES = 500


@dataclass(frozen=True)
class Scenario:
    """`requests` makes them for a fleet. One request does `units` of what is counted."""

    name: str
    requests: Callable[[Fleet], list[Request]]
    rate: float | None = None
    cpu: float | None = None
    units: int = 1
    # The scenario whose rate of units counts instead of the bare view's.
    beside: str = ""
    is_quick: bool = True


def _by_program(fleet: Fleet, method: str, path: str, body: object = None) -> Request:
    return Request(method, path, {"X-API-Key": fleet.api_key}, body)


def _get(path: str) -> Callable[[Fleet], list[Request]]:
    """GETs by a program; {device} and {small_site} in `path` are any of them."""

    def requests(fleet: Fleet) -> list[Request]:
        return [_by_program(fleet, "GET", each) for each in _spread(fleet, path)]

    return requests


def _post(path: str, body: object) -> Callable[[Fleet], list[Request]]:
    def requests(fleet: Fleet) -> list[Request]:
        return [_by_program(fleet, "POST", each, body) for each in _spread(fleet, path)]

    return requests


def _spread(fleet: Fleet, path: str) -> list[str]:
    """`path` filled in with many devices and sites, or alone."""
    if "{" not in path:
        return [path]
    chance = random.Random(7)
    return [
        path.format(
            device=f"till-{chance.randrange(fleet.devices):06}",
            small_site=f"shop-{chance.randrange(fleet.small_sites):05}",
            large_site=f"shop-{chance.randrange(fleet.small_sites, fleet.sites):05}",
        )
        for _ in range(REQUESTS)
    ]


def _by_device(number: int, method: str, path: str, body: object = None) -> Request:
    headers = {"X-Device-ID": f"till-{number:06}", "X-API-Key": device_key(number)}
    return Request(method, path, headers, body)


def check_in(number: int) -> Request:
    """The check-in of one device."""
    body = {"is_healthy": True, "response_time_ms": 42, "response_data": {"cpu_usage": 12.5}}
    return _by_device(number, "POST", "/api/v1/agent/check-in", body)


def _check_ins(fleet: Fleet) -> list[Request]:
    return [check_in(number) for number in _some_devices(fleet)]


def _pending(fleet: Fleet) -> list[Request]:
    path = "/api/v1/devices/pending"
    return [_by_device(number, "GET", path) for number in _some_devices(fleet)]


def _some_devices(fleet: Fleet) -> list[int]:
    chance = random.Random(7)
    return [chance.randrange(fleet.devices) for _ in range(REQUESTS)]


def _batches(fleet: Fleet) -> list[Request]:
    """A gateway's: its own site's devices, each several times where they are few."""
    chance = random.Random(7)
    first, large = fleet.first_device_of_large_sites(), fleet.sites - fleet.small_sites
    found = []
    for _ in range(BATCHES):
        gateway = chance.randrange(first, min(first + large, fleet.devices))
        mates = range(gateway, fleet.devices, large)
        entries = [
            {"device_id": f"till-{mates[entry % len(mates)]:06}", "response_time_ms": 42}
            for entry in range(BATCH)
        ]
        body = {"check_ins": entries}
        found.append(_by_device(gateway, "POST", "/api/v1/agent/check-ins", body))
    return found


def _page_of_devices(fleet: Fleet, at: int) -> list[Request]:
    """50 devices, from the one on that was made as the `at`th newest."""
    path = "/api/v1/devices/devices?limit=50"
    if at:
        from homepot.pagination import Cursor  # needs Django

        number = fleet.devices - at - 1
        made_at = fleet.device_made_at(number).isoformat()
        cursor = Cursor("devices -created_at", made_at, number + 1, False)
        path += f"&cursor={cursor.encode()}"
    return [_by_program(fleet, "GET", path)]


SCENARIOS = [
    Scenario("check-in", _check_ins, rate=0.17, cpu=4.0),
    Scenario("batch of 100 check-ins", _batches, rate=12, units=BATCH, beside="check-in"),
    Scenario("fetch of commands", _pending),
    Scenario("page of 50 devices", lambda fleet: _page_of_devices(fleet, 0), rate=0.15),
    Scenario(
        "page of 50 devices, deep",
        lambda fleet: _page_of_devices(fleet, fleet.devices - 100),
        rate=0.8,
        beside="page of 50 devices",
    ),
    Scenario("page of 50 sites", _get("/api/v1/sites/sites?limit=50")),
    Scenario("device", _get("/api/v1/devices/devices/{device}"), rate=0.25),
    Scenario("site health, 5 devices", _get("/api/v1/health/sites/{small_site}/health"), rate=0.20),
    Scenario("device health", _get("/api/v1/health/devices/{device}/health")),
    Scenario("fleet health", _get("/api/v1/health/fleet")),
    Scenario(
        "health checks of a device",
        _get("/api/v1/devices/devices/{device}/health-checks?limit=50"),
    ),
    Scenario("page of 50 audit rows", _get("/api/v1/audit/logs?limit=50")),
    Scenario("create a site", _post("/api/v1/sites/sites", {"name": f"Shop {NUMBER}"}), rate=0.10),
    Scenario(
        "create a job, 5 devices",
        _post("/api/v1/jobs/sites/{small_site}/jobs", {"action": "ping"}),
        rate=0.07,
    ),
    # Not at the small sites, which are to stay small.
    Scenario(
        "create a device",
        _post("/api/v1/devices/sites/{large_site}/devices", {"name": f"Till {NUMBER}"}),
    ),
]
