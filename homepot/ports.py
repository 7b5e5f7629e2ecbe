"""Whether a server could listen at an address. Needs nothing but Python's own library."""

from __future__ import annotations

import errno
import os
import socket


class PortError(Exception):
    """Nothing can listen there; the message says why, in one sentence."""


def check_port(host: str, port: int) -> None:
    """Raise PortError unless a server could listen at `host` and `port` now.

    A server that shares its port with others would start beside one that is already there,
    and each would answer some of the requests.
    """
    if not 0 < port < 65536:
        raise PortError(f"{port} is no port: choose one from 1 to 65535.")
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise PortError(f"{host} is no address of this machine: 127.0.0.1 is.") from None
    family, kind, protocol, _, address = addresses[0]
    with socket.socket(family, kind, protocol) as probe:
        # Connections that ended a moment ago are not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise PortError(_reason(error, host, port)) from None


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program: choose another port."
    if error.errno == errno.EACCES:
        return f"Port {port} is for the system's administrator: choose one above 1023."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: 127.0.0.1 is."
    return f"Nothing can listen on {host}:{port}: {os.strerror(error.errno or 0)}."
