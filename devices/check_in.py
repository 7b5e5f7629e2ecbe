"""A device says "I am here, and this is how I am": the hot path, once for each engine.

PostgreSQL does all of it in one statement; SQLite does the same in one IMMEDIATE
transaction. `tests/test_check_in.py` runs one table of cases over both.

The server's clock rules. A report is late when the device has already sent a newer one: it is
kept and shows that the device lives, but changes no status. A report that was sent before is
not kept again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import BooleanField, Case, F, Q, QuerySet, Value, When
from django.db.models.expressions import RawSQL

from devices.advance import Moment
from devices.enums import SPEAKING, LifecycleState
from devices.models import DeviceCredential
from devices.pace import pace
from devices.reports import Report
from devices.status import (
    HEALTHY_REASON,
    NEVER_SEEN_REASON,
    REASON_LENGTH,
    TO_CHAR_FORMAT,
    UNHEALTHY_REASON,
    service_was_away,
)
from devices.taking_in import take_in
from homepot.read_only import is_read_only

# How often the use of a key is noted; more often would be one more write for each check-in.
KEY_USE_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks: the text id of a device, and the digest of the key it gave."""

    device_id: str
    key_digest: str


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """What became of a check-in. `status` is None when the device may not speak.

    `has_work` tells whether the device is to be told of work.
    """

    lifecycle_state: str
    status: str | None
    device_pk: int | None = None
    has_work: bool = False


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
        "heard_after": now - pace.patience(pace.interval),
        "bad_checks_for_error": settings.BAD_CHECKS_FOR_ERROR,
        **_report_parameters(report, now),
    }
    with connection.cursor() as cursor:
        cursor.execute(POSTGRESQL.text, POSTGRESQL.values(parameters))
        row = cursor.fetchone()
    return CheckedIn(*row) if row else None


def lifecycle_state_of(caller: Caller, now: datetime) -> str | None:
    """That of the device; None when `caller` gave no valid key of one."""
    return valid_keys(caller, now).values_list("device__lifecycle_state", flat=True).first()


def valid_keys(caller: Caller, now: datetime) -> QuerySet[DeviceCredential]:
    """The credential that `caller` gave, if it is one of its device and valid."""
    return DeviceCredential.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now),
        key_digest=caller.key_digest,
        device__device_id=caller.device_id,
        revoked_at=None,
    )


def _report_parameters(report: Report | None, now: datetime) -> dict[str, Any]:
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
        "time_format": TO_CHAR_FORMAT,
        "healthy_reason": HEALTHY_REASON,
        "unhealthy_reason": UNHEALTHY_REASON,
        "never_seen_reason": NEVER_SEEN_REASON,
        "reason": (report.error_message or UNHEALTHY_REASON)[:REASON_LENGTH],
        "firmware_version": report.firmware_version or None,
        "config_version": report.config_version or None,
        "reported_at": report.reported_at,
        "clipped_reported_at": report.reported_at_by(now),
    }


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL, kept short, and the names of its parameters, which `text` calls p0, p1, ..."""

    text: str
    names: tuple[str, ...]

    def values(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {f"p{number}": parameters[name] for number, name in enumerate(self.names)}


def _compact(sql: str) -> Statement:
    """`sql` without comments, needless spaces and long names of parameters."""
    lines = (line.partition("--")[0].strip() for line in sql.splitlines())
    text = re.sub(r" ?([=<>,()]|\|\|) ?", r"\1", " ".join(line for line in lines if line))
    names = tuple(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    for number, name in enumerate(names):
        text = text.replace(f"%({name})s", f"%(p{number})s")
    return Statement(text, names)


# Kept short by `_compact`: psycopg parses a statement of more than 4,096 characters anew each
# time, which took as long as all the rest of a check-in.
POSTGRESQL = _compact(
    """
WITH given AS (
    SELECT %(now)s::timestamptz AS now, %(silent_at)s::timestamptz AS silent_at,
        %(is_check)s::boolean AS is_check, %(is_healthy)s::boolean AS is_healthy,
        %(reported_at)s::timestamptz AS reported_at, %(reason)s AS reason
), caller AS (
    -- The lock makes two check-ins of one device take turns; the second sees what the first did.
    SELECT d.*, c.id AS credential, c.last_used_at
    FROM device_credentials c JOIN devices d ON d.id = c.device_id
    WHERE c.key_digest = %(digest)s AND d.device_id = %(device_id)s
      AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > %(now)s::timestamptz)
    FOR NO KEY UPDATE OF d
), stored AS (
    INSERT INTO health_checks (device_id, is_healthy, response_time_ms, status_code, endpoint,
        response_data, error_message, checked_at, reported_at)
    SELECT id, is_healthy, %(response_time_ms)s::integer, %(status_code)s::smallint,
        %(endpoint)s, %(response_data)s::jsonb, %(error_message)s, now, reported_at
    FROM caller, given
    WHERE is_check AND lifecycle_state IN ('pending', 'active')
    ON CONFLICT (device_id, reported_at) WHERE reported_at IS NOT NULL DO NOTHING
    RETURNING id
), judged AS (
    SELECT caller.*, given.*,
        COALESCE(reported_at < last_reported_at, false)
            OR (is_check AND NOT EXISTS (SELECT FROM stored)) AS is_no_news,
        COALESCE(status_due_at <= now, false) AND NOT EXISTS (
            SELECT FROM service_pulse
            WHERE grace_until > now OR beat_at < %(away_before)s::timestamptz
        ) AS is_due,
        CASE WHEN is_check AND is_healthy THEN 0
             ELSE bad_checks + is_check::integer END AS bad_now
    FROM caller, given
    WHERE lifecycle_state IN ('pending', 'active')
), derived AS (
    SELECT *,
        CASE WHEN is_no_news THEN status
             WHEN maintenance_until > now THEN 'maintenance'
             WHEN bad_now >= %(bad_checks_for_error)s::integer THEN 'error'
             ELSE 'online' END AS status_now,
        -- What it turned into when its time had come, if no sweep has written it down yet.
        CASE WHEN is_no_news OR NOT is_due THEN status
             WHEN status <> 'maintenance' OR last_seen <= %(heard_after)s THEN 'offline'
             WHEN last_seen IS NULL THEN 'unknown'
             WHEN bad_checks >= %(bad_checks_for_error)s::integer THEN 'error'
             ELSE 'online' END AS status_before
    FROM judged
), reasoned AS (
    SELECT *,
        CASE WHEN is_no_news THEN status_reason
             WHEN status_now = 'maintenance' THEN 'In maintenance until '
                || to_char(maintenance_until AT TIME ZONE 'UTC', %(time_format)s)
                || ' UTC.'
             WHEN status_now = 'online' THEN %(healthy_reason)s
             -- A heartbeat of a failing device says nothing new about why.
             WHEN NOT is_check AND status = 'error' AND NOT is_due THEN status_reason
             ELSE reason END AS reason_now,
        status <> status_before AS turned, status_before <> status_now AS flips
    FROM derived
), moved AS (
    UPDATE devices d SET
        last_seen = GREATEST(d.last_seen, now),
        lifecycle_state = 'active',
        last_reported_at = GREATEST(d.last_reported_at, %(clipped_reported_at)s),
        last_check_healthy = CASE WHEN is_no_news OR NOT is_check
            THEN d.last_check_healthy ELSE is_healthy END,
        bad_checks = CASE WHEN is_no_news THEN d.bad_checks ELSE bad_now END,
        status = status_now,
        status_reason = reason_now,
        status_since = CASE WHEN flips THEN now WHEN turned THEN d.status_due_at
            ELSE d.status_since END,
        status_due_at = CASE
            WHEN is_no_news AND (is_due OR status_now NOT IN ('online', 'error'))
                THEN d.status_due_at
            WHEN status_now = 'maintenance' THEN d.maintenance_until
            ELSE silent_at END,
        firmware_version = COALESCE(CASE WHEN NOT is_no_news THEN %(firmware_version)s END,
            d.firmware_version),
        config_version = COALESCE(CASE WHEN NOT is_no_news THEN %(config_version)s END,
            d.config_version)
    FROM reasoned r
    WHERE d.id = r.id
), flipped AS (
    INSERT INTO device_status_changes (device_id, old_status, new_status, reason, evidence, at)
    SELECT id, was, became, why, evidence, at
    FROM reasoned, LATERAL (VALUES
        (1, status, status_before, CASE status_before WHEN 'error' THEN %(unhealthy_reason)s
            WHEN 'online' THEN %(healthy_reason)s
            ELSE COALESCE('No check-in since '
            || to_char(last_seen AT TIME ZONE 'UTC', %(time_format)s) || ' UTC.',
            %(never_seen_reason)s) END, NULL, status_due_at),
        (2, status_before, status_now, reason_now, (SELECT id FROM stored), now)
    ) AS change (step, was, became, why, evidence, at)
    WHERE CASE step WHEN 1 THEN turned ELSE flips END
    ORDER BY step
), used AS (
    UPDATE device_credentials c SET last_used_at = now
    FROM reasoned r
    WHERE c.id = r.credential
      AND (c.last_used_at IS NULL OR c.last_used_at < %(key_use_before)s::timestamptz)
), ended AS (
    -- The first use of a new key ends the keys before it.
    UPDATE device_credentials c SET revoked_at = now
    FROM reasoned r
    WHERE r.last_used_at IS NULL AND c.device_id = r.id AND c.id < r.credential
      AND c.revoked_at IS NULL
)
SELECT caller.lifecycle_state, status_now, caller.id, is_check AND EXISTS (
    SELECT FROM job_executions e WHERE e.device_id = caller.id AND e.offer_at <= now)
FROM caller LEFT JOIN reasoned ON reasoned.id = caller.id
"""
)

# The same of the work: here alone, devices know of a table of jobs.
WORK_ON_SQLITE = """
EXISTS (SELECT 1 FROM job_executions e
        WHERE e.device_id = device_credentials.device_id AND e.offer_at <= %s)
"""


def _check_in_on_sqlite(caller: Caller, report: Report | None, moment: Moment) -> CheckedIn | None:
    """The statement above, step by step, under SQLite's one write lock."""
    at = connection.ops.adapt_datetimefield_value
    credential = (
        valid_keys(caller, moment.now)
        .select_related("device")
        .annotate(
            service_was_away=service_was_away(moment.now, pace.interval),
            has_work=RawSQL(WORK_ON_SQLITE, [at(moment.now)], BooleanField()),  # noqa: S611
        )
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
    has_work = report is not None and credential.has_work
    return CheckedIn(lifecycle_state, device.status, device.pk, has_work)


def note_key_use(credential: DeviceCredential, now: datetime) -> None:
    """Note the use of a key; the first use of a new one ends the keys before it."""
    if is_read_only():
        return
    used_at = credential.last_used_at
    if used_at is not None and used_at >= now - KEY_USE_NOTED_EVERY:
        return
    is_this, is_older = Q(pk=credential.pk), Q(pk__lt=credential.pk, revoked_at=None)
    credential.device.credentials.filter(is_this | is_older if used_at is None else is_this).update(
        last_used_at=Case(When(is_this, then=Value(now)), default=F("last_used_at")),
        revoked_at=Case(When(is_older, then=Value(now)), default=F("revoked_at")),
    )
