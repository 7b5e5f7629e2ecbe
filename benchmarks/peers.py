"""Other servers that are driven in the same run: `--beside name=URL --scenario FILE`.

The file is JSON. It says for scenarios of ours, by their names, which requests do the same there:

    {
      "headers": {"X-Api-Key": "..."},
      "scenarios": {
        "check-in": [{"method": "POST", "path": "/ping/1b9e", "body": {"load": 12.5}}],
        "create a site": [{"method": "POST", "path": "/stores", "body": {"name": "Shop $NUMBER"}}]
      }
    }

`headers` go with every request; a request may have more of its own. `method` is GET where it is
left out, a `body` that is text is sent as it is, and `$NUMBER` is another number each time.
Several requests are sent in any order.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.requests import Request

FIELDS = {"method", "path", "headers", "body"}


class PeerError(Exception):
    """What was said of a peer cannot be used; the message says why."""


@dataclass(frozen=True)
class Peer:
    """A server beside ours; `requests` by the name of the scenario."""

    name: str
    url: str
    requests: Mapping[str, list[Request]]


def read_peers(beside: list[str], files: list[Path], scenarios: Collection[str]) -> list[Peer]:
    """A file for each `name=URL`, in their order; raises PeerError."""
    if len(beside) != len(files):
        raise PeerError("Give each --beside name=URL its own --scenario FILE.")
    return [_read_peer(*pair, scenarios) for pair in zip(beside, files, strict=True)]


def _read_peer(beside: str, file: Path, scenarios: Collection[str]) -> Peer:
    name, _, url = beside.partition("=")
    parts = urlsplit(url)
    if not name or parts.scheme != "http" or not parts.hostname:
        raise PeerError(f"--beside {beside}: say it as name=http://host:port.")
    try:
        told = json.loads(file.read_text())
        common = told.get("headers", {})
        requests = {
            scenario: [_read_request(common, each) for each in entries]
            for scenario, entries in told["scenarios"].items()
        }
    except OSError as error:
        raise PeerError(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PeerError(
            f"{file} is not as `python -m benchmarks --help` says: {error!r}."
        ) from None
    for scenario, entries in requests.items():
        if scenario not in scenarios:
            raise PeerError(
                f"{file}: {scenario!r} is no scenario; there are {', '.join(scenarios)}."
            )
        if not entries:
            raise PeerError(f"{file}: {scenario!r} has no requests.")
    base = parts.path.rstrip("/")
    return Peer(
        name,
        f"http://{parts.netloc}",
        {
            scenario: [
                Request(each.method, base + each.path, each.headers, each.body) for each in entries
            ]
            for scenario, entries in requests.items()
        },
    )


def _read_request(common: Mapping[str, str], told: Mapping[str, object]) -> Request:
    if unknown := told.keys() - FIELDS:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    path = told["path"]
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError(f"the path {path!r} does not begin with /")
    headers = told.get("headers", {})
    if not isinstance(headers, dict):
        raise TypeError("headers is no object")
    return Request(str(told.get("method", "GET")), path, {**common, **headers}, told.get("body"))
