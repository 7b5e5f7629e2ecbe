"""Check-in: a device says how it is, and takes its work along."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from accounts.keys import digest_of
from devices.check_in.caller import Caller
from devices.protocol.check_in_views import agent_view, take_in_report
from devices.reports import Report, report_in, usual_report
from homepot.parsers import read_body
from jobs.services import Work, offer_work


@agent_view
def check_in_view(request: HttpRequest, caller: Caller) -> dict[str, Any]:
    """POST /agent/check-in"""
    return _check_in(caller, report_in(read_body(request)))


def check_in_at_once(device_id: str, key: str, body: bytes) -> dict[str, Any] | None:
    """The same, of a device that writes as most do; see homepot/short_calls.py."""
    report = usual_report(body)
    return None if report is None else _check_in(Caller(device_id, digest_of(key)), report)


def _check_in(caller: Caller, report: Report) -> dict[str, Any]:
    taken, pace_answer = take_in_report(caller, report)
    work = Work()
    if taken.has_work:
        work = offer_work(taken.device_pk, now=pace_answer["server_time"])
    return {
        "status": "success",
        "device_id": caller.device_id,
        "device_status": taken.status,
        **pace_answer,
        "commands": work.commands,
        "cancelled": work.cancelled,
    }
