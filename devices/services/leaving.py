"""A device leaves: what others keep open for it ends in the same transaction."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from accounts.models import User
from devices.models import Device


def end_work(device: Device, reason: str, actor: User | None) -> None:
    """Call what `settings.DEVICE_LEAVING` names; apps above this one keep work for devices.

    The caller has locked the device with `leaves=True`. `reason` is what happened to it:
    "suspended", "retired", "transferred" or "re_enrolled".
    """
    for name in settings.DEVICE_LEAVING:
        import_string(name)(device=device, reason=reason, actor=actor)
