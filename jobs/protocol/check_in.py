"""Check-in: a device says how it is, and takes its work along."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from devices.check_in.caller import Caller
from devices.protocol.check_in_views import agent_view, take_in_report
from devices.reports import report_in
from homepot.parsers import read_body
from jobs.services import Work, offer_work


@agent_view
def check_in_view(request: HttpRequest, caller: Caller) -> dict[str, Any]:
    """POST /agent/check-in"""
    taken, pace_answer = take_in_report(caller, report_in(read_body(request)))
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
