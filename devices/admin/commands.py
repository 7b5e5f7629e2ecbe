"""What staff do to devices, and what the pages that ask say of it. The rules are the services'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from devices import services
from devices.admin.forms import MaintenanceForm, TransferForm
from devices.enums import LifecycleState
from devices.models import Device
from homepot.admin import Command
from homepot.steps import Tally

Pks = Sequence[int]

KEY_MEANS = (
    "Give it to the agent on the device, which sends it as the header X-API-Key beside its "
    "X-Device-ID."
)


def in_maintenance(device: Device) -> bool:
    return device.maintenance_until is not None and device.maintenance_until > timezone.now()


def _is_active(device: Device) -> bool:
    return device.is_active


def _suspend(device: Device, actor: User) -> None:
    services.suspend_device(device=device, actor=actor)


def _resume(device: Device, actor: User) -> None:
    services.resume_device(device=device, actor=actor)


def _retire(device: Device, actor: User) -> None:
    services.retire_device(device=device, actor=actor)


def _re_enrol(device: Device, actor: User) -> str:
    return services.re_enrol_device(device=device, actor=actor)[1]


def _transfer(device: Device, actor: User, **fields: Any) -> None:
    services.transfer_device(device=device, actor=actor, **fields)


def _maintain(device: Device, actor: User, **fields: Any) -> None:
    services.set_maintenance(device=device, actor=actor, **fields)


def _end_maintenance(device: Device, actor: User) -> None:
    services.set_maintenance(device=device, until=None, actor=actor)


def _rotate_key(device: Device, actor: User) -> str:
    return services.rotate_key(device=device, actor=actor)


def _revoke_keys(device: Device, actor: User) -> None:
    services.revoke_keys(device=device, actor=actor)


def _suspend_many(pks: Pks, actor: User) -> Tally:
    return services.suspend_devices(pks=pks, actor=actor)


def _resume_many(pks: Pks, actor: User) -> Tally:
    return services.resume_devices(pks=pks, actor=actor)


def _retire_many(pks: Pks, actor: User) -> Tally:
    return services.retire_devices(pks=pks, actor=actor)


def _maintain_many(pks: Pks, actor: User, **fields: Any) -> Tally:
    return services.maintain_devices(pks=pks, actor=actor, **fields)


def _end_maintenance_of_many(pks: Pks, actor: User) -> Tally:
    return services.maintain_devices(pks=pks, until=None, actor=actor)


def _rotate_keys_of_many(pks: Pks, actor: User) -> Tally:
    return services.rotate_keys_of_devices(pks=pks, actor=actor)


MAINTAIN = Command(
    title="Maintenance",
    means=(
        "Until then the status is Maintenance whatever is reported, and silence is no outage. "
        "Check-ins go on, and their checks are kept."
    ),
    done="In maintenance",
    run=_maintain,
    run_many=_maintain_many,
    form_class=MaintenanceForm,
    is_offered=_is_active,
)
END_MAINTENANCE = Command(
    title="End maintenance",
    means="From now on the status is again what is reported.",
    done="Maintenance ended",
    run=_end_maintenance,
    run_many=_end_maintenance_of_many,
    is_offered=lambda device: device.is_active and in_maintenance(device),
)
SUSPEND = Command(
    title="Suspend",
    means=(
        "Suspended devices are refused: they can neither check in nor fetch work until they "
        "are resumed. Their keys and their history stay, and work that has not ended is "
        "cancelled."
    ),
    done="Suspended",
    run=_suspend,
    run_many=_suspend_many,
    is_dangerous=True,
    is_offered=lambda device: (
        device.is_active and device.lifecycle_state != LifecycleState.SUSPENDED
    ),
)
RESUME = Command(
    title="Resume",
    means="Resumed devices may check in again, with the keys that they have.",
    done="Resumed",
    run=_resume,
    run_many=_resume_many,
    is_offered=lambda device: device.lifecycle_state == LifecycleState.SUSPENDED,
)
RETIRE = Command(
    title="Retire",
    means=(
        "A retired device is out of use for good: it can no longer check in, cannot be changed "
        "and is left out of lists and counts. Its history stays, and its name is free again."
    ),
    done="Retired",
    run=_retire,
    run_many=_retire_many,
    is_dangerous=True,
    is_offered=_is_active,
)
RE_ENROL = Command(
    title="Re-enrol",
    means=(
        "For a machine that takes the place of this one: it gets the id and the history, and a "
        "new key. Every key of the machine before it ends at once, and its status is unknown "
        "until it checks in. A retired device is in use again."
    ),
    done="Re-enrolled",
    run=_re_enrol,
    key_means=KEY_MEANS,
    is_dangerous=True,
)
TRANSFER = Command(
    title="Transfer",
    means=(
        "It stands at the other site from now on. Its keys and its history go with it, and work "
        "that it has not ended is cancelled."
    ),
    done="Transferred",
    run=_transfer,
    form_class=TransferForm,
    is_offered=_is_active,
)
ROTATE_KEY = Command(
    title="Rotate key",
    means=(
        "A new key is made and shown once. The key in use stays valid until the new one is "
        f"first used, but for {settings.KEY_OVERLAP_HOURS} hours at most. A key that was made "
        "earlier and never used ends at once."
    ),
    done="Key rotated",
    run=_rotate_key,
    run_many=_rotate_keys_of_many,
    key_means=KEY_MEANS,
    is_offered=_is_active,
)
REVOKE_KEYS = Command(
    title="Revoke keys",
    means=(
        "Every key ends at once: the device is refused from its next request on, until it is "
        "given a new one."
    ),
    done="Keys revoked",
    run=_revoke_keys,
    is_dangerous=True,
    is_offered=_is_active,
)
