"""Plain views, off REST framework's path, for the bulk of all traffic: check-in and heartbeat.

The check-in itself, which brings work, stands in `jobs/protocol/check_in.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions

from accounts.keys import digest_of
from devices.check_in import CheckedIn, check_in
from devices.check_in.caller import Caller, lifecycle_state_of
from devices.enums import SPEAKING
from devices.errors import DeviceMayNotSpeakError
from devices.metrics import count_check_in
from devices.pace import pace
from devices.protocol.authentication import (
    AUTHENTICATE,
    DEVICE_ID_HEADER,
    KEY_HEADER,
    UNKNOWN_DEVICE,
)
from devices.reports import Report, read_device_id
from homepot.errors import DomainError, plain_problem_response
from homepot.parsers import loads, read_json
from homepot.renderers import to_json
from homepot.request_context import FAILURE

View = Callable[[HttpRequest], HttpResponse]


def agent_view(handle: Callable[[HttpRequest, Caller], dict[str, Any]]) -> View:
    """A view for POST from `handle`, which answers the body or raises what the API raises."""

    @csrf_exempt  # devices have no cookies
    @wraps(handle)
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            caller = _caller(request)
            try:
                if failure := request.META.pop(FAILURE, None):
                    raise failure
                if request.method != "POST":
                    raise exceptions.MethodNotAllowed(request.method or "")
                answer = handle(request, caller)
            except exceptions.AuthenticationFailed:
                raise
            except exceptions.APIException:
                # Who may not speak hears of that first, whatever else is wrong.
                lifecycle_state = lifecycle_state_of(caller, timezone.now())
                if lifecycle_state not in SPEAKING:
                    raise _refusal(lifecycle_state) from None
                raise
        except (exceptions.APIException, DomainError, DatabaseError, InterfaceError) as error:
            if isinstance(error, exceptions.AuthenticationFailed | exceptions.NotAuthenticated):
                error.auth_header = AUTHENTICATE  # type: ignore[union-attr]
            return plain_problem_response(error)
        return HttpResponse(to_json(answer), content_type="application/json")

    return view


def _caller(request: HttpRequest) -> Caller:
    device_id = request.META.get("HTTP_X_DEVICE_ID")
    key = request.META.get("HTTP_X_API_KEY")
    if not device_id or not key:
        raise exceptions.NotAuthenticated(f"Send {DEVICE_ID_HEADER} and {KEY_HEADER}.")
    return Caller(device_id, digest_of(key))


def take_in_report(caller: Caller, report: Report | None) -> tuple[CheckedIn, dict[str, Any]]:
    """What became of a check-in, or of a heartbeat, and what to answer about the pace."""
    told, now = pace.told(), datetime.now(UTC)
    taken = check_in(caller, report, told=told, now=now)
    if taken is None or taken.status is None:
        raise _refusal(None if taken is None else taken.lifecycle_state)
    if report is not None:
        count_check_in()
    return taken, {"server_time": now, "next_check_in_seconds": round(told.total_seconds())}


def _refusal(lifecycle_state: str | None) -> Exception:
    """Why a device in this state may not speak; None: the caller is no device."""
    if lifecycle_state is None:
        return exceptions.AuthenticationFailed(UNKNOWN_DEVICE)
    return DeviceMayNotSpeakError(lifecycle_state)


@agent_view
def heartbeat_view(request: HttpRequest, caller: Caller) -> dict[str, Any]:
    """POST /agent/heartbeat: shows that the device lives, and stores no check."""
    return _heartbeat(caller, read_json(request))


def heartbeat_at_once(device_id: str, key: str, body: bytes) -> dict[str, Any]:
    """The same, see homepot/short_calls.py."""
    return _heartbeat(Caller(device_id, digest_of(key)), loads(body))


def _heartbeat(caller: Caller, data: Any) -> dict[str, Any]:
    if (read_device_id(data) or caller.device_id) != caller.device_id:
        raise exceptions.PermissionDenied("A device speaks for itself only.")
    _, pace_answer = take_in_report(caller, None)
    return {
        "status": "success",
        "message": "Heartbeat received.",
        "data": {
            "device_id": caller.device_id,
            "last_heartbeat_at": pace_answer["server_time"],
            **pace_answer,
        },
    }
