"""Requests by the thousand, with wrk."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

from benchmarks.loads import Load
from benchmarks.requests import LENGTH_DIGITS, MARK

# %d and %s: see `_script`.
SCRIPT = """
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("number_of_thread", threads)
end

local requests = {}
function init(args)
  math.randomseed(%(seed)d + number_of_thread)
  local file = io.open("%(path)s", "rb")
  local data, at = file:read("*a"), 1
  file:close()
  while at <= #data do
    local length = tonumber(data:sub(at, at + %(digits)d - 1))
    requests[#requests + 1] = data:sub(at + %(digits)d, at + %(digits)d + length - 1)
    at = at + %(digits)d + length
  end
end

function request()
  local text = requests[math.random(#requests)]
  if %(has_numbers)s then
    local number = string.format("%%08d%%08d", math.random(0, 99999999), math.random(0, 99999999))
    text = text:gsub("%(mark)s", number)
  end
  return text
end

function done(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d %%d %%d\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status, summary.errors.connect, summary.errors.read + summary.errors.write,
    summary.errors.timeout))
end
"""


def find_wrk() -> str | None:
    return shutil.which("wrk")


def drive(url: str, requests: Path, *, seconds: float, connections: int) -> Load:
    """Send requests of that file to `url`, in any order; raises RuntimeError."""
    script = requests.with_suffix(".lua")
    script.write_text(_script(requests))
    command = [
        *("wrk", "-t", str(min(2, connections)), "-c", str(connections)),
        *("-d", f"{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(script), url),
    ]
    ran = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise RuntimeError(f"wrk said nothing: {ran.stdout} {ran.stderr}")
    numbers = [int(number) for number in lines[0].split()[1:]]
    count, microseconds, p50, p99, refused, *lost = numbers
    return Load(count, microseconds / 1e6, p50 / 1e3, p99 / 1e3, refused, sum(lost))


def _script(requests: Path) -> str:
    return SCRIPT % {
        # Another one each time, or names that were given would be given again.
        "seed": random.randrange(1_000_000_000),
        "path": requests,
        "digits": LENGTH_DIGITS,
        "has_numbers": str(MARK in requests.read_bytes()).lower(),
        "mark": MARK.decode().replace(".", "%."),
    }
