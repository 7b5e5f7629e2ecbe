"""The options of the agent's command line."""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path

from devices.agent.errors import AgentError
from devices.agent.transport import TIMEOUT_SECONDS

PROGRAM = "python -m devices.agent"
DESCRIPTION = """The HOMEPOT reference agent: it enrols this machine as a device, checks in, and
does the commands it is given in a simulated way. It runs until SIGTERM or Ctrl-C."""
EPILOG = """The keys are better kept out of the command line, which everybody on the machine can
read: HOMEPOT_ENROLMENT_KEY and HOMEPOT_DEVICE_KEY in the environment do the same."""
ENROLMENT_KEY_VARIABLE = "HOMEPOT_ENROLMENT_KEY"
DEVICE_KEY_VARIABLE = "HOMEPOT_DEVICE_KEY"
DEVICE_TYPES = (
    *("pos_terminal", "iot_sensor", "industrial_controller", "gateway", "kiosk", "printer"),
    "unknown",
)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description=DESCRIPTION, epilog=EPILOG)
    add = parser.add_argument
    add("--url", required=True, help="the server, such as https://homepot.example.com")
    add("--site", help="the id of the site to enrol at; not needed once enrolled")
    add("--enrolment-key", metavar="KEY", help=f"the site's, or {ENROLMENT_KEY_VARIABLE}")
    add("--enrolment-key-file", metavar="FILE", type=Path, help="a file that holds it")
    add("--device-id", help="instead of enrolling: the id of a device an operator registered")
    add("--device-key-file", metavar="FILE", type=Path, help=f"its key, or {DEVICE_KEY_VARIABLE}")
    add("--name", default=socket.gethostname(), help="the device's name (default: %(default)s)")
    add(
        *("--type",),
        choices=DEVICE_TYPES,
        default="pos_terminal",
        metavar="TYPE",
        help=f"{', '.join(DEVICE_TYPES)} (default: %(default)s)",
    )
    add(
        *("--state-dir",),
        metavar="FOLDER",
        type=Path,
        default=default_state_dir(),
        help="where credential and unfinished work are kept (default: %(default)s)",
    )
    add(
        *("--interval-override",),
        metavar="SECONDS",
        type=seconds,
        help="check in that often, whatever the server tells",
    )
    add(
        *("--grant",),
        metavar="PERMISSION",
        action="append",
        default=[],
        help="give this permission when asked for it; may be repeated",
    )
    add("--ca-file", metavar="FILE", help="trust these certificates instead of the system's")
    add(
        *("--timeout",),
        metavar="SECONDS",
        type=seconds,
        default=TIMEOUT_SECONDS,
        help="for each answer (default: %(default)g)",
    )
    return parser


def default_state_dir() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "homepot-agent"


def seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400")
    return number


def read_key(variable: str, path: Path | None) -> str:
    if path is None:
        return os.environ.get(variable, "").strip()
    try:
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        raise AgentError(f"Cannot read the key in {path}: {error}.") from None
