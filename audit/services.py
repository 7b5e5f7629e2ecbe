"""The only writer of the audit log."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, models, transaction
from django.utils import timezone

from accounts.presumed import NotConfirmed, PresumedUser
from audit import triggers
from audit.enums import ActorKind, AuditEvent, Outcome, Severity
from audit.models import AuditLog
from audit.querysets import AuditLogQuerySet
from homepot.bulk import insert_rows
from homepot.changes import NO_EXPRESSIONS, insert_row, mark_inserted
from homepot.combined import Combined
from homepot.compiled import who_asks
from homepot.objects import new_object
from homepot.request_context import current_request

# A step of pruning holds SQLite's only write lock for a fraction of a second; the rest between
# two lets in those who wait for it.
PRUNE_STEP_ROWS = 5_000
PRUNE_REST_SECONDS = 0.1

MASK = "***"
# Values under names that end so are never written, only that they changed; also deep within a
# device's configuration.
SECRET_ENDINGS = (
    "password",
    "secret",
    "token",
    "apikey",
    "api_key",
    "private_key",
    "enrolment_key",
)

# Which reference of a row names a target of which model. `user` is the actor: an account
# that was changed is named by type and label.
_REFERENCES = {"sites.Site": "site_id", "devices.Device": "device_id", "jobs.Job": "job_id"}


def record(
    *,
    event: AuditEvent,
    actor: models.Model | PresumedUser | None,
    target: models.Model | None = None,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
    description: str = "",
    metadata: Mapping[str, Any] | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    severity: Severity = Severity.INFO,
) -> AuditLog:
    """Write one row, in the transaction of the change it tells of.

    `actor` is a user, a device, or None for the system itself. `changes` holds the value
    before and after by field, of the fields that changed; secrets are masked here. Request
    id, address and user agent are those of the request being served, if there is one.
    """
    row = _row(
        event=event,
        actor=actor,
        target=target,
        changes=changes,
        description=description,
        metadata=metadata,
        outcome=outcome,
        severity=severity,
    )
    insert_row(row)
    return row


def insert_and_record(
    target: models.Model,
    *,
    event: AuditEvent,
    actor: models.Model | PresumedUser | None,
    changes: Mapping[str, tuple[Any, Any]],
) -> None:
    """Write `target`, which is new, and the row that `record` writes of it.

    One statement on PostgreSQL; on SQLite two, in the caller's transaction. An `actor` who is only
    presumed is asked about in it, or first; raises NotConfirmed, with nothing written.
    """
    presumed = actor if isinstance(actor, PresumedUser) else None
    if connection.vendor == "sqlite":
        if presumed:
            who_asks(presumed, timezone.now()).rows()
        insert_row(target)
        record(event=event, actor=actor, target=target, changes=changes)
        return
    combined = Combined()
    if presumed:
        combined.add("caller", *who_asks(presumed, timezone.now()).sql())
    combined.insert("made", target, source="caller" if presumed else "", returning="id")
    record_in(combined, event=event, actor=actor, target=target, changes=changes)
    rows = combined.rows("SELECT id FROM made")
    if not rows:
        raise NotConfirmed
    if presumed:
        presumed.is_confirmed = True
    mark_inserted(target, rows[0][0])


def record_in(
    combined: Combined,
    *,
    target: models.Model,
    expressions: Mapping[str, str] = NO_EXPRESSIONS,
    **fields: Any,
) -> None:
    """Add to `combined` what `record` would write of `target`, which its part `made` inserts.

    `expressions` are columns of the row that are filled by SQL over `made`.
    """
    own_reference = _REFERENCES[target._meta.label]
    combined.insert(
        "told",
        _row(target=target, **fields),
        {own_reference: "made.id", **expressions},
        source="made",
    )


def record_many(
    *,
    event: AuditEvent,
    actor: models.Model | None,
    targets: Sequence[tuple[models.Model, Mapping[str, tuple[Any, Any]]]],
) -> None:
    """Write one row for each target and its changes as `record` does, in one statement."""
    fields = [field for field in AuditLog._meta.concrete_fields if not field.primary_key]
    rows = []
    for target, changes in targets:
        row = _row(event=event, actor=actor, target=target, changes=changes)
        rows.append([_stored(field, getattr(row, field.attname)) for field in fields])
    if rows:
        insert_rows(AuditLog, [field.name for field in fields], rows)


def record_once(told: str, **fields: Any) -> None:
    """Write one row as `record` does, unless one was written that told the same.

    One statement, which leaves it to the database whether the row is there: several processes
    may be telling at once.
    """
    row = _row(**fields)
    row.dedupe_key = hashlib.sha256(told.encode()).hexdigest()
    AuditLog.objects.bulk_create([row], ignore_conflicts=True)


def record_originals(rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what the audit log of the original product told, each row of it once.

    `original` is the row as it was; the other keys are its time and our references.
    """
    told = []
    for row in rows:
        original = dict(row["original"])
        text = json.dumps(original, sort_keys=True, default=str)
        told.append(
            AuditLog(
                event_type=AuditEvent.ORIGINAL_EVENT_IMPORTED,
                description=str(original.get("description") or original.get("event_type") or ""),
                actor_label="original",
                event_metadata=_masked("", json.loads(text)),
                created_at=row["created_at"] or timezone.now(),
                dedupe_key=hashlib.sha256(f"original {text}".encode()).hexdigest(),
                **{name: row[name] for name in ("user_id", "site_id", "device_id", "job_id")},
            )
        )
    AuditLog.objects.bulk_create(told, ignore_conflicts=True)


def record_refused_permission(
    *, actor: models.Model, route: str, method: str, path: str, now: datetime
) -> None:
    """Write that `actor` may not do what it tried, once for each route and minute of the clock."""
    fields = _actor_fields(actor)
    record_once(
        f"{fields['actor_kind']} {actor.pk} {now.astimezone(UTC):%Y-%m-%d %H:%M} {route}",
        event=AuditEvent.PERMISSION_REFUSED,
        actor=actor,
        description=f"{method} {path}",
        metadata={"method": method, "path": path, "route": route},
        outcome=Outcome.DENIED,
        severity=Severity.WARNING,
    )


def prune(
    *,
    before: datetime,
    actor: models.Model | None,
    metadata: Mapping[str, Any],
    step_rows: int = PRUNE_STEP_ROWS,
) -> Iterator[int]:
    """Remove the rows made before `before`, and yield how many went with each step.

    The row that tells of it is written first, and rows of its kind stay for ever. Each step
    is a transaction of its own, so that nobody waits long. After an interruption, prune
    again: what is left is told of by a row of its own.
    """
    old = AuditLog.objects.prunable(before)
    with transaction.atomic():
        count = old.count()
        if not count:
            return
        told = record(
            event=AuditEvent.AUDIT_PRUNED,
            actor=actor,
            description=f"{count} rows made before {before:%Y-%m-%d %H:%M} UTC are removed",
            metadata={**metadata, "before": before.isoformat(), "count": count},
        )
    old = old.filter(pk__lt=told.pk)
    while removed := _remove(old, told, step_rows):
        yield removed
        time.sleep(PRUNE_REST_SECONDS)


def _remove(old: AuditLogQuerySet, told: AuditLog, step_rows: int) -> int:
    step = old.order_by("created_at", "pk").values("pk")[:step_rows]
    with triggers.pruning(connection, pruned_pk=told.pk):
        removed, _ = AuditLog.objects.filter(pk__in=step).delete()
    return removed


def _row(
    *,
    event: AuditEvent,
    actor: models.Model | PresumedUser | None,
    target: models.Model | None = None,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
    description: str = "",
    metadata: Mapping[str, Any] | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    severity: Severity = Severity.INFO,
) -> AuditLog:
    row = new_object(
        AuditLog,
        event_type=event.value,
        description=description,
        outcome=outcome.value,
        severity=severity.value,
        event_metadata=None if metadata is None else _masked("", dict(metadata)),
        **_actor_fields(actor),
        **_request_fields(),
    )
    if target is not None:
        _name_target(row, target)
    if changes:
        row.old_values = {name: _masked(name, old) for name, (old, _) in changes.items()}
        row.new_values = {name: _masked(name, new) for name, (_, new) in changes.items()}
    return row


def _stored(field: models.Field, value: Any) -> Any:
    """JSON as the column's own encoder writes it: bulk inserts know none."""
    if isinstance(field, models.JSONField) and value is not None:
        return json.loads(json.dumps(value, cls=field.encoder))
    return value


def _request_fields() -> dict[str, str]:
    request = current_request.get()
    if request is None:
        return {}
    return {
        "request_id": request.request_id,
        "ip_address": request.ip_address or "",
        "user_agent": request.user_agent,
    }


def _actor_fields(actor: models.Model | PresumedUser | None) -> dict[str, Any]:
    if actor is None:
        return {"actor_kind": ActorKind.SYSTEM.value, "actor_label": "system"}
    if isinstance(actor, (AbstractBaseUser, PresumedUser)):
        return {
            "actor_kind": ActorKind.USER.value,
            "actor_label": actor.get_username(),
            "user_id": actor.pk,
        }
    return {
        "actor_kind": ActorKind.DEVICE.value,
        "actor_label": actor.device_id,  # type: ignore[attr-defined]
        "device_id": actor.pk,
        "site_id": actor.site_id,  # type: ignore[attr-defined]
    }


def _name_target(row: AuditLog, target: models.Model) -> None:
    row.target_type = target._meta.model_name or ""
    row.target_label = str(target)[:200]
    if own_reference := _REFERENCES.get(target._meta.label):
        setattr(row, own_reference, target.pk)
    # What stands at a site, or is done to a device, is found in their histories too.
    for attribute in _shared_references(target._meta.model):  # not its type: it may be lazy
        setattr(row, attribute, getattr(target, attribute))


@cache
def _shared_references(model: type[models.Model]) -> list[str]:
    return [
        field.attname
        for field in model._meta.concrete_fields
        if field.is_relation and field.name in ("site", "device")
    ]


def _masked(name: str, value: Any) -> Any:
    """`value` of the field or key `name`, with what is secret in it masked at any depth."""
    if value and not isinstance(value, bool) and name.lower().endswith(SECRET_ENDINGS):
        return MASK
    if isinstance(value, dict):
        return {key: _masked(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked("", item) for item in value]
    return value
