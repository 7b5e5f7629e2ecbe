"""Devices that let themselves in, with the enrolment key of their site."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.keys import digest_of
from audit import services as audit
from audit.enums import AuditEvent
from devices.enums import DeviceType
from devices.errors import EnrolmentRefusedError, UnknownSiteError
from devices.models import Device
from devices.services.credentials import add_key
from homepot.changes import refuse_duplicates
from homepot.identifiers import make_identifier
from sites.models import Site


@transaction.atomic
def enrol_device(
    *, site_id: str, enrolment_key: str, name: str, device_type: str, os_details: Any, source: str
) -> tuple[Device, str]:
    """Let a device in at its site, pending, and return it with its key, shown this once.

    A gateway is let in as a device of unknown type, for which an operator has yet to vouch.
    Raises UnknownSiteError, EnrolmentRefusedError for a wrong, ended or missing key, and
    IdentifierTakenError when the site has a device of that name: an operator can re-enrol it.
    """
    is_valid = Q(enrolment_key_expires_at=None) | Q(enrolment_key_expires_at__gt=timezone.now())
    sites = Site.objects.active().filter(site_id=site_id)
    # The lock keeps the site active, and its key valid, until the device is in; without the key
    # nobody locks it.
    site = (
        sites.filter(is_valid, enrolment_key=digest_of(enrolment_key))
        .select_for_update(no_key=True)
        .first()
    )
    if site is None:
        if not sites.exists():
            raise UnknownSiteError(f"There is no site {site_id}.")
        raise EnrolmentRefusedError("The enrolment key is wrong or no longer valid.")
    # A gateway speaks for its whole site: more than the holder of an enrolment key may claim.
    is_gateway = device_type == DeviceType.GATEWAY
    kept_type = DeviceType.UNKNOWN if is_gateway else DeviceType(device_type)
    device = Device(
        site=site,
        device_id=make_identifier(device_type.replace("_", "-")),
        name=name,
        device_type=kept_type,
        os_details=os_details,
    )
    with refuse_duplicates(
        name=f"Site {site.site_id} has a device named {name!r}; an operator can re-enrol it."
    ):
        device.save(force_insert=True)
    new = add_key(device)
    audit.record(
        event=AuditEvent.DEVICE_ENROLLED,
        actor=device,
        target=device,
        changes={"name": (None, name), "device_type": (None, kept_type)},
        metadata={
            "provisioning_source": source,
            "told_device_type": device_type,
            "key_hint": new.hint,
        },
    )
    return device, new.key
