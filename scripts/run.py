"""`make run`: from a fresh clone to a running server with the demo's data.

    python3 -m scripts.run

Every step is skipped when it has been done before. Needs nothing but Python's own library.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from pathlib import Path

from homepot.ports import PortError, check_port
from scripts.environment import ROOT, SetupError, ensure_environment
from scripts.processes import POLL_SECONDS, Processes, run, stop_on_signals


def main() -> int:
    stop_on_signals()
    try:
        host, port = listening_address()
        # Before the steps that take their time.
        check_port(host, port)
        python = ensure_environment("requirements.txt")
        for step in (["migrate"], ["first_run"]):
            if run([str(python), "manage.py", *step], cwd=ROOT):
                return 1  # it has said why
    except (SetupError, PortError) as error:
        print(f"homepot: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped before it was set up; the next run goes on from here.", file=sys.stderr)
        return 130
    try:
        return serve(python, host, port)
    except KeyboardInterrupt:
        print("Stopped.")
        return 0


def listening_address() -> tuple[str, int]:
    """`HOST` and `PORT` of the environment, 127.0.0.1 and 8000 without them."""
    host = os.environ.get("HOST") or "127.0.0.1"
    port = os.environ.get("PORT") or "8000"
    if not port.isdecimal():
        raise PortError(f"PORT is {port!r}, which is no number.")
    return host, int(port)


def serve(python: Path, host: str, port: int) -> int:
    """Run the server and a worker until one of them or the person at the terminal ends it."""
    manage = [str(python), "manage.py"]
    with Processes(cwd=ROOT, environment=server_environment()) as processes:
        processes.start("server", [*manage, "serve", "--host", host, "--port", str(port)])
        processes.start("worker", [*manage, "run_worker"])
        if wait_until_listening(processes, host, port):
            print_addresses(host, port)
        name, status = processes.wait_for_one()
    if status < 0:
        print(f"homepot: The {name} was ended by signal {-status}.", file=sys.stderr)
    return 1


def server_environment() -> dict[str, str]:
    """The environment, with reading open to everybody unless somebody decided otherwise."""
    environment = dict(os.environ)
    name = "API__ANONYMOUS_READ"
    env_file = Path(environment.get("HOMEPOT_ENV_FILE", ROOT / ".env"))
    settings = env_file.read_text() if env_file.is_file() else ""
    if not re.search(rf"^\s*(export\s+)?{name}\s*=", settings, re.MULTILINE):
        environment.setdefault(name, "true")
    return environment


def wait_until_listening(processes: Processes, host: str, port: int) -> bool:
    """Wait for the server to take connections; False when something ended before."""
    while processes.find_ended() is None:
        try:
            socket.create_connection((reachable(host), port), timeout=1).close()
        except OSError:
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False


def print_addresses(host: str, port: int) -> None:
    name = reachable(host)
    base = f"http://{f'[{name}]' if ':' in name else name}:{port}"
    print(
        f"\nHOMEPOT is running; Ctrl-C ends it.\n\n"
        f"  Admin           {base}/admin/\n"
        f"  API             {base}/api/v1/sites/sites\n"
        f"  API, explained  {base}/api/v1/docs\n",
        flush=True,
    )


def reachable(host: str) -> str:
    """An address for a browser here: a server that listens everywhere is here as well."""
    return {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104


if __name__ == "__main__":
    sys.exit(main())
