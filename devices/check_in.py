"""A device says "I am here, and this is how I am": the hot path, once for each engine.

PostgreSQL does all of it in one statement; SQLite does the same in one IMMEDIATE
transaction. `tests/test_check_in.py` runs one table of cases over both.

The server's clock rules. A report is late when the device has already sent a newer one: it is
kept and shows that the device lives, but changes no status. A report that was sent before is
not kept again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, Q, QuerySet, Value, When

from devices.enums import SPEAKING, LifecycleState
from devices.models import DeviceCredential
from devices.pace import pace
from devices.reports import Report
from devices.status import HEALTHY_REASON, REASON_LENGTH, UNHEALTHY_REASON, service_was_away
from devices.taking_in import Moment, take_in

# How often the use of a key is noted; more often would be one more write for each check-in.
KEY_USE_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks: the text id of a device, and the digest of the key it gave."""

    device_id: str
    key_digest: str


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """What became of a check-in. `status` is None when the device may not speak."""

    lifecycle_state: str
    status: str | None


def check_in(
    caller: Caller, report: Report | None, *, told: timedelta, now: datetime
) -> CheckedIn | None:
    """Take in a check-in, or with `report` None a heartbeat, which keeps no health check.

    `told` is after how long the device was told to come back. None: unknown id or wrong key.
    """
    moment = Moment(now=now, silent_at=now + pace.patience(told))
    if connection.vendor != "postgresql":
        with transaction.atomic():
            return _check_in_on_sqlite(caller, report, moment)
    parameters = {
        "device_id": caller.device_id,
        "digest": caller.key_digest,
        "key_use_before": now - KEY_USE_NOTED_EVERY,
        "now": now,
        "silent_at": moment.silent_at,
        "away_before": now - pace.interval,
        "bad_checks_for_error": settings.BAD_CHECKS_FOR_ERROR,
        **_report_parameters(report),
    }
    with connection.cursor() as cursor:
        cursor.execute(POSTGRESQL, parameters)
        row = cursor.fetchone()
    return CheckedIn(*row) if row else None


def is_known(caller: Caller, now: datetime) -> bool:
    """Whether `caller` gave a valid key of its device."""
    return _valid_keys(caller, now).exists()


def _valid_keys(caller: Caller, now: datetime) -> QuerySet[DeviceCredential]:
    return DeviceCredential.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now),
        key_digest=caller.key_digest,
        device__device_id=caller.device_id,
        revoked_at=None,
    )


def _report_parameters(report: Report | None) -> dict[str, Any]:
    is_check = report is not None
    report = report or Report()
    data = report.response_data
    return {
        "is_check": is_check,
        "is_healthy": report.is_healthy,
        "response_time_ms": report.response_time_ms,
        "status_code": report.status_code,
        "endpoint": report.endpoint,
        "response_data": None if data is None else orjson.dumps(data).decode(),
        "error_message": report.error_message,
        "healthy_reason": HEALTHY_REASON,
        "reason": (report.error_message or UNHEALTHY_REASON)[:REASON_LENGTH],
        "firmware_version": report.firmware_version,
        "config_version": report.config_version,
        "reported_at": report.reported_at,
    }


POSTGRESQL = """
WITH caller AS MATERIALIZED (
    -- The lock makes two check-ins of one device take turns; the second sees what the first did.
    SELECT d.*, c.id AS credential, c.last_used_at, c.created_at AS key_made_at
    FROM device_credentials c JOIN devices d ON d.id = c.device_id
    WHERE c.key_digest = %(digest)s AND d.device_id = %(device_id)s
      AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > %(now)s::timestamptz)
    FOR NO KEY UPDATE OF d
), stored AS (
    INSERT INTO health_checks (device_id, is_healthy, response_time_ms, status_code, endpoint,
                               response_data, error_message, checked_at, reported_at)
    SELECT id, %(is_healthy)s::boolean, %(response_time_ms)s::integer, %(status_code)s::smallint,
           %(endpoint)s, %(response_data)s::jsonb, %(error_message)s, %(now)s::timestamptz,
           %(reported_at)s::timestamptz
    FROM caller
    WHERE %(is_check)s::boolean AND lifecycle_state IN ('pending', 'active')
    ON CONFLICT (device_id, reported_at) WHERE reported_at IS NOT NULL DO NOTHING
    RETURNING id
), judged AS (
    SELECT caller.*,
        COALESCE(%(reported_at)s::timestamptz < last_reported_at, false)
            OR (%(is_check)s::boolean AND NOT EXISTS (SELECT FROM stored)) AS changes_nothing,
        status IN ('online', 'error') AND status_due_at <= %(now)s::timestamptz
            AND NOT EXISTS (
                SELECT FROM service_pulse
                WHERE grace_until > %(now)s::timestamptz
                   OR beat_at < %(away_before)s::timestamptz
            ) AS was_silent,
        CASE WHEN NOT %(is_check)s::boolean THEN bad_checks
             WHEN %(is_healthy)s::boolean THEN 0
             ELSE bad_checks + 1 END AS bad_now
    FROM caller
    WHERE lifecycle_state IN ('pending', 'active')
), derived AS (
    SELECT judged.*,
        CASE WHEN changes_nothing THEN status
             WHEN maintenance_until > %(now)s::timestamptz THEN 'maintenance'
             WHEN bad_now >= %(bad_checks_for_error)s::integer THEN 'error'
             ELSE 'online' END AS status_now,
        CASE WHEN was_silent THEN 'offline' ELSE status END AS status_before
    FROM judged
), reasoned AS (
    SELECT derived.*,
        CASE WHEN changes_nothing THEN status_reason
             WHEN status_now = 'maintenance' THEN 'In maintenance until '
                || to_char(maintenance_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
                || ' UTC.'
             WHEN status_now = 'online' THEN %(healthy_reason)s
             -- A heartbeat of a failing device says nothing new about why.
             WHEN NOT %(is_check)s::boolean AND status_before = 'error' THEN status_reason
             ELSE %(reason)s END AS reason_now,
        NOT changes_nothing AND status_before <> status_now AS flips
    FROM derived
), moved AS (
    UPDATE devices SET
        last_seen = GREATEST(devices.last_seen, %(now)s::timestamptz),
        lifecycle_state = 'active',
        -- Clipped to our clock: a device clock that once ran ahead must not make all that
        -- follows late.
        last_reported_at = CASE WHEN %(reported_at)s::timestamptz IS NULL
            THEN devices.last_reported_at
            ELSE GREATEST(devices.last_reported_at,
                          LEAST(%(reported_at)s::timestamptz, %(now)s::timestamptz)) END,
        last_check_healthy = CASE WHEN changes_nothing OR NOT %(is_check)s::boolean
            THEN devices.last_check_healthy ELSE %(is_healthy)s::boolean END,
        bad_checks = CASE WHEN changes_nothing THEN devices.bad_checks ELSE bad_now END,
        status = status_now,
        status_reason = reason_now,
        status_since = CASE WHEN flips THEN %(now)s::timestamptz ELSE devices.status_since END,
        status_due_at = CASE
            WHEN changes_nothing THEN CASE
                WHEN was_silent OR devices.status NOT IN ('online', 'error')
                THEN devices.status_due_at ELSE %(silent_at)s::timestamptz END
            WHEN status_now = 'maintenance' THEN devices.maintenance_until
            ELSE %(silent_at)s::timestamptz END,
        firmware_version = CASE WHEN changes_nothing THEN devices.firmware_version
            ELSE COALESCE(NULLIF(%(firmware_version)s, ''), devices.firmware_version) END,
        config_version = CASE WHEN changes_nothing THEN devices.config_version
            ELSE COALESCE(NULLIF(%(config_version)s, ''), devices.config_version) END
    FROM reasoned
    WHERE devices.id = reasoned.id
), flipped AS (
    INSERT INTO device_status_changes (device_id, old_status, new_status, reason, evidence, at)
    -- The silence that ends now, if no sweep has written it down yet.
    SELECT id, status, 'offline', 'No check-in since '
        || to_char(last_seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC.',
        NULL, status_due_at AS flipped_at
    FROM reasoned WHERE was_silent AND flips
    UNION ALL
    SELECT id, status_before, status_now, reason_now, (SELECT id FROM stored),
        %(now)s::timestamptz
    FROM reasoned WHERE flips
    ORDER BY flipped_at
), used AS (
    UPDATE device_credentials SET last_used_at = %(now)s::timestamptz
    FROM reasoned
    WHERE device_credentials.id = reasoned.credential
      AND (device_credentials.last_used_at IS NULL
           OR device_credentials.last_used_at < %(key_use_before)s::timestamptz)
), ended AS (
    -- The first use of a new key ends the keys before it.
    UPDATE device_credentials SET revoked_at = %(now)s::timestamptz
    FROM reasoned
    WHERE reasoned.last_used_at IS NULL
      AND device_credentials.device_id = reasoned.id
      AND device_credentials.id < reasoned.credential
      AND device_credentials.revoked_at IS NULL
)
SELECT caller.lifecycle_state, reasoned.status_now
FROM caller LEFT JOIN reasoned ON reasoned.id = caller.id
"""


def _check_in_on_sqlite(caller: Caller, report: Report | None, moment: Moment) -> CheckedIn | None:
    """The statement above, step by step, under SQLite's one write lock."""
    credential = (
        _valid_keys(caller, moment.now)
        .select_related("device")
        .annotate(service_was_away=service_was_away(moment.now, pace.interval))
        .first()
    )
    if credential is None:
        return None
    device = credential.device
    lifecycle_state = device.lifecycle_state
    if lifecycle_state not in SPEAKING:
        return CheckedIn(lifecycle_state, None)
    device.lifecycle_state = LifecycleState.ACTIVE
    take_in(device, report, moment, service_was_away=credential.service_was_away)
    note_key_use(credential, moment.now)
    return CheckedIn(lifecycle_state, device.status)


def note_key_use(credential: DeviceCredential, now: datetime) -> None:
    """Note the use of a key; the first use of a new one ends the keys before it."""
    used_at = credential.last_used_at
    if used_at is not None and used_at >= now - KEY_USE_NOTED_EVERY:
        return
    is_this, is_older = Q(pk=credential.pk), Q(pk__lt=credential.pk, revoked_at=None)
    credential.device.credentials.filter(is_this | is_older if used_at is None else is_this).update(
        last_used_at=Case(When(is_this, then=Value(now)), default=F("last_used_at")),
        revoked_at=Case(When(is_older, then=Value(now)), default=F("revoked_at")),
    )
