"""What the agent does for each action, in a simulated way: it takes its time, changes the
machine's own record, and never runs a program or opens an address it is given.

A handler gets the payload, the machine and a pause, and returns the result. It raises
CommandFailed when it cannot do the work, and whatever `pause` raises passes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from devices.agent.client import Command, Outcome
from devices.agent.machine import Machine

# The result of a handler goes into every report of it; these keep it small.
MAX_VERSION_LENGTH = 50


class CommandFailed(Exception):
    """The work could not be done. `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Stopped(Exception):
    """The work is to end now: it is not wanted any more, or the agent ends."""

    def __init__(self, *, is_cancelled: bool) -> None:
        super().__init__()
        self.is_cancelled = is_cancelled


Payload = Mapping[str, Any]
# Waits for the seconds given; raises Stopped when the work is to end.
Pause = Callable[[float], None]
Handler = Callable[[Payload, Machine, Pause], dict[str, Any]]


def ping(payload: Payload, machine: Machine, pause: Pause) -> dict[str, Any]:
    return {"answer": "pong"}


def status_request(payload: Payload, machine: Machine, pause: Pause) -> dict[str, Any]:
    return {
        "uptime_seconds": machine.uptime_seconds,
        "firmware_version": machine.firmware_version,
        "config_version": machine.config_version,
        "permissions": machine.permissions,
    }


def health_check(payload: Payload, machine: Machine, pause: Pause) -> dict[str, Any]:
    health = machine.read_health()
    return {
        "is_healthy": health.is_healthy,
        "error_message": health.error_message,
        **health.loads,
    }


def restart(payload: Payload, machine: Machine, pause: Pause) -> dict[str, Any]:
    was_up_seconds = machine.uptime_seconds
    pause(2)
    machine.restart()
    return {"was_up_seconds": was_up_seconds}


def restart_pos_app(payload: Payload, machine: Machine, pause: Pause) -> dict[str, Any]:
    pause(1)
    return {"restarted": "pos_app"}


def shutdown(payload: Payload, machine: Machine, pause: Pause) -> dict[str, Any]:
    # A machine that is off could not report, and nobody could turn it on again from afar.
    pause(1)
    return {"simulated": True}


def update_config(payload: Payload, machine: Machine, pause: Pause) -> dict[str, Any]:
    version = _version(payload, "config_version")
    before = machine.config_version
    pause(1)
    machine.change(config_version=version)
    return {"config_version": version, "before": before, "config_url": payload.get("config_url")}


def update_firmware(payload: Payload, machine: Machine, pause: Pause) -> dict[str, Any]:
    version = _version(payload, "firmware_version")
    before = machine.firmware_version
    pause(5)
    machine.change(firmware_version=version)
    machine.restart()
    return {"firmware_version": version, "before": before}


def request_permission(payload: Payload, machine: Machine, pause: Pause) -> dict[str, Any]:
    asked = payload.get("permissions") or payload.get("permission")
    names = [asked] if isinstance(asked, str) else asked
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CommandFailed("invalid_payload", "The payload names no permission.")
    pause(1)
    if refused := sorted(set(names) - machine.grants):
        raise CommandFailed("permission_denied", f"The owner refused {', '.join(refused)}.")
    granted = {name: True for name in names}
    machine.change(permissions=machine.permissions | granted, has_untold_permissions=True)
    return {"permissions": machine.permissions}


HANDLERS: dict[str, Handler] = {
    "ping": ping,
    "status_request": status_request,
    "health_check": health_check,
    "restart": restart,
    "restart_pos_app": restart_pos_app,
    "shutdown": shutdown,
    "update_config": update_config,
    "update_pos_payment_config": update_config,
    "update_firmware": update_firmware,
    "request_permission": request_permission,
}


def handle(command: Command, machine: Machine, pause: Pause) -> Outcome:
    """Do the work of `command` and tell what became of it; raises nothing."""
    handler = HANDLERS.get(command.command_type)
    if handler is None:
        name = command.command_type[:50]
        return failed("unsupported_action", f"This agent cannot do {name!r}.")
    try:
        result = handler(command.payload, machine, pause)
    except CommandFailed as error:
        return failed(error.code, str(error))
    except Stopped as stopped:
        return cancelled() if stopped.is_cancelled else interrupted()
    except Exception as error:
        # Whatever it is, the server must hear of it and the next command have its turn.
        return failed("handler_error", repr(error)[:500])
    return Outcome("completed", _now(), result)


def failed(code: str, message: str) -> Outcome:
    return Outcome("failed", _now(), error_code=code, error_message=message)


def interrupted() -> Outcome:
    return failed("interrupted", "The agent ended while it was at this; part of it may be done.")


def cancelled() -> Outcome:
    return Outcome("cancelled", _now())


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _version(payload: Payload, name: str) -> str:
    version = payload.get(name)
    if not isinstance(version, str) or not 0 < len(version) <= MAX_VERSION_LENGTH:
        raise CommandFailed("invalid_payload", f"The payload holds no {name}.")
    return version
