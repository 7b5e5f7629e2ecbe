"""What staff do to sites, and what the pages that ask say of it. The rules are the services'."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.models import User
from homepot.admin import Command, CommandForm
from sites import services
from sites.models import Site

UNTIL_REVOKED = ""
KEY_LIFETIMES = (
    ("1", "in 1 hour"),
    ("24", "in 1 day"),
    ("168", "in 7 days"),
    ("720", "in 30 days"),
    (UNTIL_REVOKED, "when it is revoked"),
)


class EnrolmentKeyForm(CommandForm):
    lifetime = forms.ChoiceField(
        choices=KEY_LIFETIMES,
        required=False,
        initial="168",
        label="Ends",
        widget=UnfoldAdminSelectWidget,
    )

    def command_fields(self) -> dict[str, Any]:
        hours = self.cleaned_data["lifetime"]
        ends = None if hours == UNTIL_REVOKED else timezone.now() + timedelta(hours=int(hours))
        return {"expires_at": ends}


def _retire(site: Site, actor: User) -> None:
    services.retire_site(site=site, actor=actor)


def _make_enrolment_key(site: Site, actor: User, **fields: Any) -> str:
    return services.make_enrolment_key(site=site, actor=actor, **fields)


def _revoke_enrolment_key(site: Site, actor: User) -> None:
    services.revoke_enrolment_key(site=site, actor=actor)


RETIRE = Command(
    title="Retire",
    means=(
        "A retired site is out of use for good: it takes no devices any more, cannot be changed "
        "and is left out of lists. Its history stays. Its devices have to be retired first."
    ),
    done="Retired",
    run=_retire,
    is_dangerous=True,
    is_offered=lambda site: site.is_active,
)
MAKE_ENROLMENT_KEY = Command(
    title="Make enrolment key",
    means=(
        "Devices let themselves in at this site with it, as many as know it, until it ends. The "
        "key before it, if there is one, ends at once; devices that are in keep their own keys."
    ),
    done="Enrolment key made",
    run=_make_enrolment_key,
    form_class=EnrolmentKeyForm,
    key_means="Give it to whoever sets the devices of this site up.",
    is_offered=lambda site: site.is_active,
)
REVOKE_ENROLMENT_KEY = Command(
    title="Revoke enrolment key",
    means="No device can let itself in at this site with it any more. Those that are in stay in.",
    done="Enrolment key revoked",
    run=_revoke_enrolment_key,
    is_dangerous=True,
    is_offered=lambda site: site.is_active and bool(site.enrolment_key),
)
