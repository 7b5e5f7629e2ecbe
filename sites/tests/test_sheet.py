from __future__ import annotations

import pytest

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership, User
from accounts.tests.factories import make_user
from audit.models import AuditLog
from homepot.testing.imports import apply, lines_of, read_text, verdicts
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

TAKEN = "The site id {} is taken; choose another."


@pytest.fixture
def operator() -> User:
    return make_user(role=Role.OPERATOR)


def scoped(*sites: Site) -> User:
    user = make_user(role=Role.OPERATOR, site_access=SiteAccess.SELECTED)
    for site in sites:
        SiteMembership.objects.create(user=user, site=site)
    return user


# A line of site_id, name, location, timezone, latitude, longitude, and what becomes of it.
LINES = [
    ("harbour,Harbour,Quay 3,Europe/Berlin,53.5,9.99", "create", ""),
    (",Random id,,,,", "create", ""),
    ("s-1,Main,,UTC,52.520,", "unchanged", ""),
    ("s-1,Main,Here,UTC,52.52,", "update", ""),
    ("s-1,Main,,UTC,,", "update", ""),
    ("s-1,,,Mars/Base,,", "refused", "timezone: 'Mars/Base' is not an IANA time zone"),
    ("s-1,,,,91,", "refused", "latitude: Ensure this value is less than or equal to 90"),
    ("s-1,,,,north,", "refused", "latitude: A valid number is required"),
    (f"s-1,{'x' * 101},,,,", "refused", "name: Ensure this field has no more than 100"),
    ("new,,,,,", "refused", "name: It cannot be empty in a new line."),
    ("new one,New,,,,", "refused", "site_id: Use letters"),
    ("s-old,Old,,,,", "refused", "It is retired"),
    ("s-1,Main,,UTC,52.52,,more", "refused", "It has more cells than the first line names."),
]


@pytest.mark.parametrize(("line", "verdict", "message"), LINES)
def test_verdict_of_a_line(operator, line, verdict, message):
    make_site(site_id="s-1", name="Main", latitude=52.52)
    make_site(site_id="s-old", is_active=False)
    head = "site_id,name,location,timezone,latitude,longitude"

    ((found, told),) = verdicts(read_text("sites", f"{head}\n{line}\n", operator))

    assert (found, told[: len(message)]) == (verdict, message)
    assert bool(told) == bool(message)


def test_what_a_line_changes(operator):
    make_site(site_id="s-1", name="Main", location="Here", latitude=1.5)
    text = "Site ID,NAME,location,latitude,created_at\ns-1,Main,,2,long ago\n,New,There,,\n"

    data_import = read_text("sites", text, operator)

    change, new = lines_of(data_import)
    assert change.changes == {"location": ["Here", ""], "latitude": [1.5, 2.0]}
    assert new.changes == {
        "name": [None, "New"],
        "location": [None, "There"],
        "latitude": [None] * 2,
    }
    assert new.key.startswith("site-")
    assert data_import.columns == ["site_id", "name", "location", "latitude"]
    assert data_import.ignored_columns == ["created_at"]
    assert (data_import.to_create, data_import.to_update) == (1, 1)


def test_import_changes_what_the_preview_said(operator):
    kept = make_site(site_id="s-1", name="Main", description="Old", location="Here")
    text = "site_id,name,location,longitude\ns-1,Main 2,,-0.1\nharbour,Harbour 東,'=Quay,9.99\n"

    data_import = apply(read_text("sites", text, operator))

    assert (data_import.state, data_import.created, data_import.updated) == ("applied", 1, 1)
    kept.refresh_from_db()
    assert (kept.name, kept.description, kept.location, kept.longitude) == (
        "Main 2",
        "Old",
        "",
        -0.1,
    )
    new = Site.objects.get(site_id="harbour")
    assert (new.name, new.location, new.timezone) == ("Harbour 東", "=Quay", "UTC")
    assert (new.latitude, new.longitude, new.is_active) == (None, 9.99, True)
    rows = {row.event_type: row for row in AuditLog.objects.all()}
    assert rows["site_created"].new_values == {
        "name": "Harbour 東",
        "location": "=Quay",
        "longitude": 9.99,
    }
    assert rows["site_updated"].old_values == {
        "name": "Main",
        "location": "Here",
        "longitude": None,
    }
    assert rows["data_imported"].event_metadata["created"] == 1
    assert {row.actor_label for row in rows.values()} == {operator.username}
    assert rows["site_created"].site_id == new.pk


def test_scoped_operator_changes_own_sites_only():
    mine, theirs = make_site(site_id="mine"), make_site(site_id="theirs", name="Theirs")
    text = "site_id,name\nmine,Renamed\ntheirs,Renamed\nnew,New\n,New\n"

    data_import = read_text("sites", text, scoped(mine))

    assert verdicts(data_import) == [
        ("update", ""),
        ("refused", TAKEN.format("theirs")),
        *[("refused", "Your account is for selected sites and cannot add one.")] * 2,
    ]
    apply(data_import)
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.name, theirs.name) == ("Renamed", "Theirs")
    assert Site.objects.count() == 2


def test_scope_is_asked_again_when_it_is_applied():
    mine = make_site(site_id="mine", name="Mine")
    user = scoped(mine)
    data_import = read_text("sites", "site_id,name\nmine,Renamed\n", user)
    SiteMembership.objects.all().delete()

    apply(data_import)

    mine.refresh_from_db()
    assert (mine.name, data_import.failed) == ("Mine", 1)
