"""The keys with which devices speak."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.keys import DEVICE_KEY_PREFIX, NewKey, make_key
from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from devices.models import Device, DeviceCredential
from devices.services.locked import rotate_keys
from devices.services.locks import lock_active_device
from homepot.changes import insert_row


def add_key(device: Device) -> NewKey:
    """Store a new key of `device`; the caller holds the transaction and writes the audit row."""
    new = make_key(DEVICE_KEY_PREFIX)
    insert_row(DeviceCredential(device=device, key_digest=new.digest, hint=new.hint))
    return new


@transaction.atomic
def rotate_key(*, device: Device, actor: User | None) -> str:
    """Give `device` a new key, shown this once, and return it.

    The key in use stays valid until the new one is first used, or the overlap ends. Keys that
    were made but never used end at once. Raises DeviceRetiredError.
    """
    ((_, key),) = rotate_keys([lock_active_device(device)], actor, timezone.now())
    return key


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
