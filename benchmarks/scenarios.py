"""What is measured: a path, what is sent there, and what it should reach.

Budgets are ratios within one run: `rate` to the bare view's, or to another scenario's; `cpu` is
the most CPU of the web server a request may take, as a multiple of the bare view's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.fleet import Fleet
from devices.models import Device
from homepot.pagination import Cursor

BATCH = 100


@dataclass(frozen=True)
class Scenario:
    """`script` makes the Lua of wrk for a fleet. One request does `units` of what is counted."""

    name: str
    script: Callable[[Fleet], str]
    rate: float | None = None
    cpu: float | None = None
    units: int = 1
    # The scenario whose rate of units counts instead of the bare view's.
    beside: str = ""
    is_quick: bool = True


def _as_program(fleet: Fleet, make: str) -> str:
    return f"""
local headers = {{["X-API-Key"] = "{fleet.api_key}", ["Content-Type"] = "application/json"}}
request = function() {make} end
"""


def _get(path: str) -> Callable[[Fleet], str]:
    """A GET by a program; `{{site}}` and the like in `path` stand for Lua expressions."""

    def script(fleet: Fleet) -> str:
        filled = path.replace(
            "{device}", f'" .. string.format("%06d", math.random(0, {fleet.devices - 1})) .. "'
        ).replace(
            "{small_site}",
            f'" .. string.format("%05d", math.random(0, {min(199, fleet.sites // 2 - 1)})) .. "',
        )
        return _as_program(fleet, f'return wrk.format("GET", "{filled}", headers)')

    return script


def _device(fleet: Fleet, first: int, last: int, make: str) -> str:
    return f"""
request = function()
  local number = math.random({first}, {last})
  local headers = {{["X-Device-ID"] = string.format("till-%06d", number),
    ["X-API-Key"] = string.format("hpd_%043d", number), ["Content-Type"] = "application/json"}}
  {make}
end
"""


def _check_in(fleet: Fleet) -> str:
    body = '{"is_healthy": true, "response_time_ms": 42, "response_data": {"cpu_usage": 12.5}}'
    make = f'return wrk.format("POST", "/api/v1/agent/check-in", headers, \'{body}\')'
    return _device(fleet, 0, fleet.devices - 1, make)


def _batch(fleet: Fleet) -> str:
    """A gateway's: its own site's devices, each several times."""
    first = fleet.first_device_of_large_sites()
    large = fleet.sites - fleet.site_of(first)
    make = f"""
  local entries = {{}}
  local mates = math.max(1, math.floor(({fleet.devices} - number - 1) / {large}) + 1)
  for entry = 1, {BATCH} do
    local mate = number + {large} * (entry % mates)
    entries[entry] = string.format('{{"device_id": "till-%06d", "response_time_ms": 42}}', mate)
  end
  local body = '{{"check_ins": [' .. table.concat(entries, ",") .. ']}}'
  return wrk.format("POST", "/api/v1/agent/check-ins", headers, body)"""
    return _device(fleet, first, first + large - 1, make)


def _pending(fleet: Fleet) -> str:
    make = 'return wrk.format("GET", "/api/v1/devices/pending", headers)'
    return _device(fleet, 0, fleet.devices - 1, make)


def _post(path: str, body: str) -> Callable[[Fleet], str]:
    """A POST by a program; NUMBER in `body` is another one each time."""

    def script(fleet: Fleet) -> str:
        small = min(199, fleet.sites // 2 - 1)
        filled = path.replace(
            "{small_site}", f'" .. string.format("%05d", math.random(0, {small})) .. "'
        )
        spelled = body.replace("NUMBER", "' .. math.random(1, 1e15) .. '")
        return _as_program(fleet, f'return wrk.format("POST", "{filled}", headers, \'{spelled}\')')

    return script


def _page_of_devices(fleet: Fleet, at: int) -> str:
    """50 devices, from the one on that was made as the `at`th newest."""
    path = "/api/v1/devices/devices?limit=50"
    if at:
        row = Device.objects.order_by("-created_at", "-pk")[at]
        cursor = Cursor("devices -created_at", row.created_at.isoformat(), row.pk, False)
        path += f"&cursor={cursor.encode()}"
    return _as_program(fleet, f'return wrk.format("GET", "{path}", headers)')


SCENARIOS = [
    Scenario("check-in", _check_in, rate=0.17, cpu=4.0),
    Scenario("batch of 100 check-ins", _batch, rate=12, units=BATCH, beside="check-in"),
    Scenario("fetch of commands", _pending),
    Scenario("page of 50 devices", lambda fleet: _page_of_devices(fleet, 0), rate=0.15),
    Scenario(
        "page of 50 devices, deep",
        lambda fleet: _page_of_devices(fleet, fleet.devices - 100),
        rate=0.8,
        beside="page of 50 devices",
    ),
    Scenario("page of 50 sites", _get("/api/v1/sites/sites?limit=50")),
    Scenario("device", _get("/api/v1/devices/devices/till-{device}"), rate=0.25),
    Scenario(
        "site health, 5 devices", _get("/api/v1/health/sites/shop-{small_site}/health"), rate=0.20
    ),
    Scenario("device health", _get("/api/v1/health/devices/till-{device}/health")),
    Scenario("fleet health", _get("/api/v1/health/fleet"), is_quick=False),
    Scenario(
        "health checks of a device",
        _get("/api/v1/devices/devices/till-{device}/health-checks?limit=50"),
    ),
    Scenario("page of 50 audit rows", _get("/api/v1/audit/logs?limit=50")),
    Scenario("create a site", _post("/api/v1/sites/sites", '{"name": "Shop NUMBER"}'), rate=0.10),
    Scenario(
        "create a device",
        _post("/api/v1/devices/sites/shop-{small_site}/devices", '{"name": "Till NUMBER"}'),
    ),
    Scenario(
        "create a job, 5 devices",
        _post("/api/v1/jobs/sites/shop-{small_site}/jobs", '{"action": "ping"}'),
        rate=0.07,
    ),
]
