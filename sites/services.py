"""Everything that changes sites."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.keys import ENROLMENT_KEY_PREFIX, make_key
from accounts.models import User
from accounts.presumed import PresumedUser
from audit import services as audit
from audit.enums import AuditEvent
from homepot.changes import refuse_duplicates, update_row
from homepot.compiled import Asked, Question
from homepot.identifiers import make_identifier
from homepot.objects import new_object
from homepot.transactions import in_one_statement
from sites.errors import SiteHasDevicesError, SiteRetiredError
from sites.models import Site
from sites.querysets import SiteQuerySet


@in_one_statement
def create_site(
    *, actor: User | PresumedUser | None, site_id: str | None = None, **fields: Any
) -> Site:
    """Open a site; without `site_id` it gets a random one.

    Raises IdentifierTakenError when `site_id` is taken, also by a retired site, and NotConfirmed
    when `actor` is not who was presumed.
    """
    site = new_object(Site, site_id=site_id or make_identifier("site"), **fields)
    with refuse_duplicates(site_id=f"The site id {site.site_id} is taken; choose another."):
        audit.insert_and_record(
            site,
            event=AuditEvent.SITE_CREATED,
            actor=actor,
            changes={name: (None, value) for name, value in fields.items()},
        )
    return site


@transaction.atomic
def update_site(*, site: Site, actor: User | None, **fields: Any) -> Site:
    """Change those of `fields` that differ; raises SiteRetiredError."""
    locked = lock_active_site(site)
    if changes := update_row(locked, fields):
        audit.record(event=AuditEvent.SITE_UPDATED, actor=actor, target=locked, changes=changes)
    return locked


@transaction.atomic
def retire_site(*, site: Site, actor: User | None) -> None:
    """Take a site out of use; its history stays.

    Raises SiteHasDevicesError while devices stand there, SiteRetiredError when it is retired.
    """
    locked = lock_active_site(site)
    device_count = locked.devices.filter(is_active=True).count()
    if device_count:
        raise SiteHasDevicesError(
            f"Site {site.site_id} has {device_count} active device"
            f"{'s' if device_count > 1 else ''}; retire or transfer them first."
        )
    changes = update_row(locked, {"is_active": False})
    audit.record(event=AuditEvent.SITE_RETIRED, actor=actor, target=locked, changes=changes)


@transaction.atomic
def make_enrolment_key(
    *, site: Site, actor: User | None, expires_at: datetime | None = None
) -> str:
    """Give `site` a new enrolment key, which ends the one before, and return it.

    This is the only time it can be seen: the database keeps its digest. Raises
    SiteRetiredError.
    """
    locked = lock_active_site(site)
    new = make_key(ENROLMENT_KEY_PREFIX)
    changes = update_row(
        locked,
        {
            "enrolment_key": new.digest,
            "enrolment_key_hint": new.hint,
            "enrolment_key_expires_at": expires_at,
        },
    )
    del changes["enrolment_key"]  # a digest; the hint says which it is
    audit.record(
        event=AuditEvent.ENROLMENT_KEY_CREATED, actor=actor, target=locked, changes=changes
    )
    return new.key


@transaction.atomic
def revoke_enrolment_key(*, site: Site, actor: User | None) -> None:
    """End the enrolment key of `site`, if it has one; raises SiteRetiredError."""
    locked = lock_active_site(site)
    gone = {"enrolment_key": None, "enrolment_key_hint": "", "enrolment_key_expires_at": None}
    if changes := update_row(locked, gone):
        changes.pop("enrolment_key", None)
        audit.record(
            event=AuditEvent.ENROLMENT_KEY_REVOKED, actor=actor, target=locked, changes=changes
        )


def lock_active_site(site: Site) -> Site:
    """Read `site` again under a lock that keeps it active until the transaction ends.

    Raises SiteRetiredError when it is not active any more.
    """
    locked = Question(Asked(None, None, {"pk": site.pk}), _locked).first(Site)
    if locked is None:
        raise Site.DoesNotExist
    if not locked.is_active:
        raise SiteRetiredError(f"Site {site.site_id} is retired and cannot be changed.")
    return locked


def _locked(asked: Asked) -> SiteQuerySet:
    # SQLite has no row locks and needs none: its write transactions take turns.
    return Site.objects.select_for_update(no_key=True).filter(pk=asked["pk"])
