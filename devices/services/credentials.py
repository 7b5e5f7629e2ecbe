"""The keys with which devices speak."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from accounts.keys import DEVICE_KEY_PREFIX, NewKey, make_key
from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from devices.models import Device, DeviceCredential
from devices.services.locks import lock_active_device


def add_key(device: Device) -> NewKey:
    """Store a new key of `device`; the caller holds the transaction and writes the audit row."""
    new = make_key(DEVICE_KEY_PREFIX)
    DeviceCredential.objects.create(device=device, key_digest=new.digest, hint=new.hint)
    return new


@transaction.atomic
def rotate_key(*, device: Device, actor: User | None) -> str:
    """Give `device` a new key, shown this once, and return it.

    The key in use stays valid until the new one is first used, or the overlap ends. Keys that
    were made but never used end at once. Raises DeviceRetiredError.
    """
    locked = lock_active_device(device)
    now = timezone.now()
    overlap_ends = now + timedelta(hours=settings.KEY_OVERLAP_HOURS)
    valid = locked.credentials.filter(revoked_at=None)
    old_hints = sorted(valid.values_list("hint", flat=True))
    valid.filter(last_used_at=None).update(revoked_at=now)
    valid.exclude(last_used_at=None).update(
        expires_at=Least(Coalesce(F("expires_at"), overlap_ends), overlap_ends)
    )
    new = add_key(locked)
    audit.record(
        event=AuditEvent.DEVICE_KEY_CREATED,
        actor=actor,
        target=locked,
        changes={"key_hints": (old_hints, [*old_hints, new.hint])},
    )
    return new.key


@transaction.atomic
def revoke_keys(*, device: Device, actor: User | None) -> int:
    """End every key of `device`, from its next request on; returns how many there were."""
    locked = lock_active_device(device)
    valid = locked.credentials.filter(revoked_at=None)
    hints = sorted(valid.values_list("hint", flat=True))
    valid.update(revoked_at=timezone.now())
    if hints:
        audit.record(
            event=AuditEvent.DEVICE_KEYS_REVOKED,
            actor=actor,
            target=locked,
            changes={"key_hints": (hints, [])},
        )
    return len(hints)
