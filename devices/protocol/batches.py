"""Batches of check-ins as most gateways send them; all others are `BatchViewSet`'s."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from accounts.keys import digest_of
from devices import services
from devices.check_in.caller import Caller, is_use_noted, valid_keys
from devices.enums import SPEAKING
from devices.reports import usual_reports
from homepot.compiled import Asked, Question


def check_ins_at_once(device_id: str, key: str, body: bytes) -> dict[str, Any] | None:
    """See homepot/short_calls.py."""
    now = timezone.now()
    values = {"device_id": device_id, "digest": digest_of(key)}
    rows = Question(Asked(None, now, values), _state_and_use).rows()
    # Who may not speak is told so, and the use of a key noted, by the view.
    if not rows or rows[0][0] not in SPEAKING or not is_use_noted(rows[0][1], now):
        return None
    reports = usual_reports(body)
    if reports is None:
        return None
    refused = services.check_in_many(reporter_id=device_id, reports=reports)
    return batch_answer(accepted=len(reports) - len(refused), rejected=refused)


def batch_answer(*, accepted: int, rejected: dict[int, str]) -> dict[str, Any]:
    """The body of an answer; `rejected` says why, by index."""
    return {
        "accepted": accepted,
        "rejected": [
            {"index": index, "detail": detail} for index, detail in sorted(rejected.items())
        ],
    }


def _state_and_use(asked: Asked) -> QuerySet:
    keys = valid_keys(Caller(asked["device_id"], asked["digest"]), asked.now)
    return keys.values_list("device__lifecycle_state", "last_used_at")[:1]
