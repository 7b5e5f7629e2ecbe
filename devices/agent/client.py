"""The calls of the agent protocol, as one device makes them."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from devices.agent.errors import StrangeAnswerError
from devices.agent.transport import Transport

logger = logging.getLogger(__name__)

DEFAULT_INTERVAL_SECONDS = 60.0
# What is told beyond these is a mistake; the agent must neither flood nor fall silent.
SHORTEST_INTERVAL_SECONDS, LONGEST_INTERVAL_SECONDS = 1.0, 3600.0


@dataclass(frozen=True)
class Credential:
    """Who the device is, and the key that shows it."""

    device_id: str
    api_key: str = field(repr=False)
    # Where it enrolled; "" when an operator gave it its key.
    site_id: str = ""


@dataclass(frozen=True)
class Command:
    """Work for this device; offered until it acknowledges, each time with a higher attempt."""

    command_id: str
    command_type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    # None: not told.
    attempt: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a command; `status` is completed, failed or cancelled."""

    status: str
    executed_at: str
    result: Mapping[str, Any] = field(default_factory=dict)
    error_code: str = ""
    error_message: str = ""


@dataclass(frozen=True)
class CheckedIn:
    """The answer to a check-in."""

    next_check_in_seconds: float
    commands: list[Command]
    # Ids of commands that are not wanted any more.
    cancelled: list[str]


def enrol(
    transport: Transport,
    *,
    site_id: str,
    enrolment_key: str,
    name: str,
    device_type: str,
    os_details: Any,
) -> Credential:
    """Let this device in at its site; raises RequestError."""
    body = {
        "site_id": site_id,
        "bootstrap_key": enrolment_key,
        "device_name": name,
        "device_type": device_type,
        "os_details": os_details,
        "provisioning_source": "agent",
    }
    answer = transport.send("POST", "/devices/bootstrap-provision", body, {})
    try:
        data = answer["data"]
        return Credential(data["device_id"], data["api_key"], data["site_id"])
    except (KeyError, TypeError):
        raise StrangeAnswerError(f"{transport.url} answered no device id and key.") from None


class Client:
    """Every call may be repeated without harm, and raises RequestError."""

    def __init__(self, transport: Transport, credential: Credential) -> None:
        self.device_id = credential.device_id
        self._transport = transport
        self._headers = {
            "X-Device-ID": credential.device_id,
            "X-API-Key": credential.api_key,
        }

    def check_in(self, report: Mapping[str, Any]) -> CheckedIn:
        return _read_answer(self._send("POST", "/agent/check-in", dict(report)))

    def acknowledge(self, command: Command) -> None:
        path = f"/devices/{quote(self.device_id)}/commands/{command.command_id}/ack"
        self._send("POST", path, _with_attempt(command, {}))

    def report(self, command: Command, outcome: Outcome) -> None:
        body = {
            "status": outcome.status,
            "result": dict(outcome.result),
            "executed_at": outcome.executed_at,
        }
        if outcome.error_code:
            body |= {"error_code": outcome.error_code, "error_message": outcome.error_message}
        self._send("PUT", f"/devices/{command.command_id}/status", _with_attempt(command, body))

    def tell_facts(self, facts: Mapping[str, Any]) -> None:
        self._send("POST", "/agent/device-dna", dict(facts))

    def tell_permissions(self, permissions: Mapping[str, bool]) -> None:
        path = f"/devices/device/{quote(self.device_id)}/permissions"
        self._send("PATCH", path, {"permissions": dict(permissions)})

    def _send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._transport.send(method, path, body, self._headers)


def _with_attempt(command: Command, body: dict[str, Any]) -> dict[str, Any]:
    return body if command.attempt is None else {**body, "attempt": command.attempt}


def _read_answer(answer: Mapping[str, Any]) -> CheckedIn:
    commands = [_read_command(each) for each in _list_of(answer, "commands")]
    return CheckedIn(
        next_check_in_seconds=_read_interval(answer.get("next_check_in_seconds")),
        commands=[command for command in commands if command],
        cancelled=[each for each in _list_of(answer, "cancelled") if _is_uuid(each)],
    )


def _read_interval(told: Any) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told):
        return DEFAULT_INTERVAL_SECONDS
    return min(max(float(told), SHORTEST_INTERVAL_SECONDS), LONGEST_INTERVAL_SECONDS)


def _read_command(data: Any) -> Command | None:
    # The id becomes part of paths, here and on disk.
    if not isinstance(data, dict) or not _is_uuid(data.get("command_id")):
        logger.warning("Ignored a command without a proper id.")
        return None
    payload, attempt = data.get("payload"), data.get("attempt")
    return Command(
        command_id=data["command_id"],
        command_type=str(data.get("command_type") or ""),
        payload=payload if isinstance(payload, dict) else {},
        attempt=attempt if isinstance(attempt, int) else None,
    )


def _list_of(answer: Mapping[str, Any], name: str) -> list[Any]:
    value = answer.get(name)
    return value if isinstance(value, list) else []


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False
