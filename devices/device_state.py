"""What reports move of devices, read for many at once: objects of the model take far longer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime

import orjson
from django.db.models import Exists, QuerySet

from devices.models import Device
from devices.pace import pace
from devices.status import absence
from homepot.bulk import any_in
from homepot.compiled import Asked, Question, derived


@dataclass(slots=True)
class DeviceState:
    """Columns of one device, by the names that they have on Device."""

    pk: int
    device_id: str
    site_id: int
    device_type: str
    maintenance_until: datetime | None
    lifecycle_state: str
    last_seen: datetime | None
    last_reported_at: datetime | None
    last_check_healthy: bool | None
    bad_checks: int
    status: str
    status_reason: str
    status_since: datetime
    status_due_at: datetime | None
    sweep_at: datetime | None
    firmware_version: str
    config_version: str


COLUMNS = tuple(field.name for field in fields(DeviceState))


def lock_states(device_ids: Collection[str], now: datetime) -> tuple[dict[str, DeviceState], bool]:
    """The devices of these ids, by id and locked in one order; and whether the service was away.

    Must be called within a transaction.
    """
    ids = orjson.dumps(list(device_ids)).decode()
    rows = Question(Asked(None, now, {"ids": ids}), _locked).rows()
    states = {row[1]: DeviceState(*row[:-1]) for row in rows}
    return states, bool(rows and rows[0][-1])


def _locked(asked: Asked) -> QuerySet:
    away_before = derived(asked.now, lambda now: now - pace.interval)
    return (
        Device.objects.filter(device_id__in=any_in(asked["ids"], "text"))
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list(*COLUMNS, Exists(absence(asked.now, away_before)))
    )
