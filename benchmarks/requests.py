"""What is sent: requests that are spelled out before the clock starts, whoever sends them.

`$NUMBER` in a path or body becomes another number each time the request is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import orjson

NUMBER = "$NUMBER"
# As long as what replaces it: the length of a request stands in its head.
MARK = b"<a.new.number.a>"
LENGTH_DIGITS = 10


@dataclass(frozen=True)
class Request:
    """`body` is sent as JSON unless it is None."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None

    def spelled(self, host: str) -> bytes:
        """The bytes for the wire, with MARK where a number is to come."""
        headers = {"Host": host, **self.headers}
        content = b""
        if self.body is not None:
            content = self.body.encode() if isinstance(self.body, str) else orjson.dumps(self.body)
            content = content.replace(NUMBER.encode(), MARK)
            headers = {"Content-Type": "application/json", **headers}
            headers["Content-Length"] = str(len(content))
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode().replace(NUMBER.encode(), MARK)
        return head + content


def write_requests(path: Path, url: str, requests: Iterable[Request]) -> None:
    """Each with its length before it, which Lua can read too."""
    host = urlsplit(url).netloc
    with path.open("wb") as output:
        for request in requests:
            spelled = request.spelled(host)
            output.write(f"{len(spelled):0{LENGTH_DIGITS}}".encode() + spelled)


def read_requests(path: Path) -> list[bytes]:
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        begin = at + LENGTH_DIGITS
        at = begin + int(data[at:begin])
        found.append(data[begin:at])
    return found
