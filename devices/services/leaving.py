"""Devices leave: what others keep open for them ends in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.utils.module_loading import import_string

from accounts.models import User
from devices.models import Device


def end_work(devices: Sequence[Device], reason: str, actor: User | None) -> None:
    """Call what `settings.DEVICE_LEAVING` names; apps above this one keep work for devices.

    The caller has locked the devices with `leaves=True`. `reason` is what happened to them:
    "suspended", "retired", "transferred" or "re_enrolled". All in one call: their work is
    locked in one order too.
    """
    for name in settings.DEVICE_LEAVING:
        import_string(name)(devices=devices, reason=reason, actor=actor)
