"""The devices of a simulation, in the database that this process shares with the server."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

from django.db import transaction

from devices import services
from devices.agent.client import Credential
from devices.enums import SPEAKING, DeviceType
from devices.models import Device
from sites import services as sites
from sites.models import Site

DESCRIPTION = "Made by `manage.py simulate_fleet`: its devices are not real."
# Most devices of a shop are tills.
TYPES = {
    DeviceType.POS_TERMINAL: 60,
    DeviceType.KIOSK: 12,
    DeviceType.PRINTER: 10,
    DeviceType.IOT_SENSOR: 10,
    DeviceType.INDUSTRIAL_CONTROLLER: 4,
    DeviceType.GATEWAY: 4,
}
# Registered in one transaction: few enough that nobody waits long for SQLite's write lock.
CHUNK = 100

# A site, the id of a device there, and the device if there is one.
Slot = tuple[Site, str, Device | None]


def prepare_fleet(
    *, device_count: int, site_count: int, on_progress: Callable[[int], None]
) -> list[Credential]:
    """Give `device_count` simulated devices at `site_count` sites a key each.

    Those of earlier runs are used again. What staff retired or suspended meanwhile is left
    alone, and another takes its place. `on_progress` hears how many are ready. Raises
    DomainError.
    """
    slots: list[Slot] = []
    for position, site in enumerate(_prepare_sites(site_count)):
        here = device_count // site_count + (position < device_count % site_count)
        slots += _find_slots(site, here)
    credentials: list[Credential] = []
    for start in range(0, len(slots), CHUNK):
        with transaction.atomic():
            chunk = [_prepare_device(slot) for slot in slots[start : start + CHUNK]]
        credentials += chunk
        on_progress(len(credentials))
    return credentials


def count_left_out(credentials: list[Credential]) -> int:
    """How many devices of earlier runs are none of these.

    They stay registered, fall offline, and what is ordered for them waits until it expires.
    """
    driven = {credential.device_id for credential in credentials}
    known = Device.objects.filter(
        device_id__startswith="simulated-", is_simulated=True, lifecycle_state__in=SPEAKING
    )
    return sum(device_id not in driven for device_id in known.values_list("device_id", flat=True))


def _prepare_sites(site_count: int) -> list[Site]:
    known = {site.site_id: site for site in Site.objects.filter(site_id__startswith="simulated-")}
    found: list[Site] = []
    for number in count(1):
        if len(found) == site_count:
            break
        site_id = f"simulated-{number:03d}"
        site = known.get(site_id) or sites.create_site(
            actor=None,
            site_id=site_id,
            name=f"Simulated site {number:03d}",
            description=DESCRIPTION,
        )
        if site.is_active:
            found.append(site)
    return found


def _find_slots(site: Site, device_count: int) -> list[Slot]:
    known = {
        device.device_id: device
        for device in Device.objects.filter(device_id__startswith=f"{site.site_id}-")
    }
    found: list[Slot] = []
    for number in count(1):
        if len(found) == device_count:
            break
        device_id = f"{site.site_id}-{number:04d}"
        device = known.get(device_id)
        if device is None or _is_usable(device, site):
            found.append((site, device_id, device))
    return found


def _is_usable(device: Device, site: Site) -> bool:
    return device.is_simulated and device.lifecycle_state in SPEAKING and device.site_id == site.pk


def _prepare_device(slot: Slot) -> Credential:
    site, device_id, device = slot
    if device is not None:
        return Credential(device_id, services.rotate_key(device=device, actor=None))
    # The same type whenever it is made again.
    chance = random.Random(device_id)  # noqa: S311
    (device_type,) = chance.choices(list(TYPES), list(TYPES.values()))
    _, key = services.register_device(
        site=site,
        actor=None,
        device_id=device_id,
        name=f"{device_type.label} {device_id.rpartition('-')[2]}",
        device_type=device_type,
        is_simulated=True,
    )
    return Credential(device_id, key)
