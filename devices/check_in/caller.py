"""Who speaks, and with which key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When

from devices.models import DeviceCredential
from homepot.read_only import is_read_only

# How often the use of a key is noted; more often would be one more write for each check-in.
KEY_USE_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """The text id of a device, and the digest of the key that was given with it."""

    device_id: str
    key_digest: str


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


def note_key_use(credential: DeviceCredential, now: datetime) -> None:
    """Note the use of a key; the first use of a new one ends the keys before it."""
    if not is_read_only() and not is_use_noted(credential.last_used_at, now):
        _note_key_use(credential, now)


def is_use_noted(last_used_at: datetime | None, now: datetime) -> bool:
    """Whether the use of a key was noted lately."""
    return last_used_at is not None and last_used_at >= now - KEY_USE_NOTED_EVERY


@transaction.atomic
def _note_key_use(credential: DeviceCredential, now: datetime) -> None:
    is_this, is_older = Q(pk=credential.pk), Q(pk__lt=credential.pk, revoked_at=None)
    is_first = credential.last_used_at is None
    noted = credential.device.credentials.filter(is_this | is_older if is_first else is_this)
    # This key is locked before the older ones, as by a check-in: of calls at the same moment
    # none waits for another that waits for it.
    locked = noted.order_by("-pk").select_for_update().values("pk")
    DeviceCredential.objects.filter(pk__in=locked).update(
        last_used_at=Case(When(is_this, then=Value(now)), default=F("last_used_at")),
        revoked_at=Case(When(is_older, then=Value(now)), default=F("revoked_at")),
    )
