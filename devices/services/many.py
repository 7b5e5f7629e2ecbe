"""The same done to many devices, some hundreds in a transaction.

Those that the actor may not see, or whose state does not allow it, are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils import timezone

from accounts.models import User
from devices.enums import LifecycleState
from devices.models import Device
from devices.services import locked
from homepot.steps import Tally, in_steps
from homepot.transactions import retried

# Each of them may have work open, and each job of which it is takes statements of its own.
LEAVING_AT_ONCE = 100


def suspend_devices(*, pks: Sequence[int], actor: User) -> Tally:
    def step(devices: list[Device], now: datetime, tally: Tally) -> None:
        suspending = [
            device for device in devices if device.lifecycle_state != LifecycleState.SUSPENDED
        ]
        locked.suspend(suspending, actor, now)
        tally.done += len(suspending)

    return _in_steps(pks, actor, step, leave=True)


def resume_devices(*, pks: Sequence[int], actor: User) -> Tally:
    def step(devices: list[Device], now: datetime, tally: Tally) -> None:
        suspended = [
            device for device in devices if device.lifecycle_state == LifecycleState.SUSPENDED
        ]
        locked.resume(suspended, actor, now)
        tally.done += len(suspended)

    return _in_steps(pks, actor, step)


def retire_devices(*, pks: Sequence[int], actor: User) -> Tally:
    def step(devices: list[Device], now: datetime, tally: Tally) -> None:
        locked.retire(devices, actor, now)
        tally.done += len(devices)

    return _in_steps(pks, actor, step, leave=True)


def maintain_devices(*, pks: Sequence[int], until: datetime | None, actor: User) -> Tally:
    def step(devices: list[Device], now: datetime, tally: Tally) -> None:
        tally.done += len(locked.maintain(devices, until, actor, now))

    return _in_steps(pks, actor, step)


def rotate_keys_of_devices(*, pks: Sequence[int], actor: User) -> Tally:
    """The tally has the new keys, which are shown this once."""

    def step(devices: list[Device], now: datetime, tally: Tally) -> None:
        keys = locked.rotate_keys(devices, actor, now)
        tally.done += len(keys)
        tally.keys += [(device.device_id, key) for device, key in keys]

    return _in_steps(pks, actor, step)


def _in_steps(
    pks: Sequence[int],
    actor: User,
    step: Callable[[list[Device], datetime, Tally], None],
    *,
    leave: bool = False,
) -> Tally:
    tally = Tally(asked=len(set(pks)))
    for some in in_steps(pks, LEAVING_AT_ONCE if leave else None):
        done = _one_step(some, actor, step, leave)
        tally.done += done.done
        tally.keys += done.keys
    return tally


@retried
def _one_step(
    pks: Sequence[int],
    actor: User,
    step: Callable[[list[Device], datetime, Tally], None],
    leave: bool,
) -> Tally:
    tally = Tally()
    devices = list(
        Device.objects.active()
        .visible_to(actor)
        .filter(pk__in=pks)
        .order_by("pk")
        .select_for_update(no_key=not leave)
    )
    if devices:
        step(devices, timezone.now(), tally)
    return tally
