"""Several changes in one statement: all of them or none."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from homepot.combined import Combined
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such statements"),
]


def two_sites(second: str) -> Combined:
    combined = Combined()
    combined.insert("first", Site(site_id="first", name="100 %"), returning="id, name")
    named = {"name": "first.name || %s", "description": "first.id::text"}
    site = Site(site_id=second, name=" (2)")
    combined.insert("second", site, named, source="first", returning="id")
    return combined


def test_later_parts_read_what_earlier_ones_return(count_statements):
    with count_statements(1):
        rows = two_sites("second").rows("SELECT first.id, second.id FROM first, second")
    first, second = Site.objects.order_by("pk")
    assert rows == [(first.pk, second.pk)]
    assert (second.name, second.description) == ("100 % (2)", str(first.pk))
    assert second.created_at is not None


def test_all_is_undone_when_one_part_fails():
    make_site(site_id="taken")
    with pytest.raises(IntegrityError), transaction.atomic():
        two_sites("taken").rows("SELECT id FROM second")
    assert [site.site_id for site in Site.objects.all()] == ["taken"]
