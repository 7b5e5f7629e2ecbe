"""Everything that changes devices and their health."""

from __future__ import annotations

from devices.services.agents import (
    check_in_many,
    grant_permissions,
    record_events,
    record_facts,
)
from devices.services.credentials import revoke_keys, rotate_key
from devices.services.enrolment import enrol_device
from devices.services.health import record_health_check
from devices.services.many import (
    maintain_devices,
    resume_devices,
    retire_devices,
    rotate_keys_of_devices,
    suspend_devices,
)
from devices.services.registration import (
    create_device,
    re_enrol_device,
    register_device,
    resume_device,
    retire_device,
    set_maintenance,
    suspend_device,
    transfer_device,
    update_device,
)

__all__ = [
    "check_in_many",
    "create_device",
    "enrol_device",
    "grant_permissions",
    "maintain_devices",
    "re_enrol_device",
    "record_events",
    "record_facts",
    "record_health_check",
    "register_device",
    "resume_device",
    "resume_devices",
    "retire_device",
    "retire_devices",
    "revoke_keys",
    "rotate_key",
    "rotate_keys_of_devices",
    "set_maintenance",
    "suspend_device",
    "suspend_devices",
    "transfer_device",
    "update_device",
]
