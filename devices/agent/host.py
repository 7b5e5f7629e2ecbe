"""Of what make this machine is."""

from __future__ import annotations

import platform
import socket
import uuid
from typing import Any

# Set in the addresses that Python makes up where it finds none.
MULTICAST_BIT = 1 << 40


def os_details() -> dict[str, str]:
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def describe_host(server: str, port: int) -> dict[str, Any]:
    """The body of /agent/device-dna; what cannot be found out is left out."""
    facts: dict[str, Any] = {"os_details": os_details()}
    if not uuid.getnode() & MULTICAST_BIT:
        facts["mac_address"] = ":".join(f"{byte:02x}" for byte in uuid.getnode().to_bytes(6, "big"))
    if address := _own_address(server, port):
        facts["local_ip"] = address
    return facts


def _own_address(server: str, port: int) -> str | None:
    """The address from which this machine speaks to `server`; None without a way there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            server, port, type=socket.SOCK_DGRAM
        )[0]
        # Connecting a datagram socket sends nothing.
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return None
