"""Objects that are made the short way are what Django makes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accounts.models import User
from audit.models import AuditLog
from homepot.objects import known_object, new_object
from jobs.models import Job
from sites.models import Site
from sites.tests.factories import make_site

NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        (Site, {"site_id": "a", "name": "A", "created_at": NOW}),
        (Job, {"job_id": "a", "site": Site(pk=7), "device": None, "created_at": NOW}),
        (Job, {"site_id": 7, "payload": {"a": 1}, "created_at": NOW}),
        (AuditLog, {"event_type": "job_created", "user_id": 7, "created_at": NOW}),
    ],
)
def test_new_object_is_what_its_model_makes(model, columns):
    made, expected = new_object(model, **columns), model(**columns)
    states = [vars(row).pop("_state") for row in (made, expected)]
    assert vars(made) == vars(expected)
    assert states[0].adding
    assert states[0].fields_cache == states[1].fields_cache


def test_new_objects_share_nothing():
    first, second = new_object(Job), new_object(Job)
    first.payload["a"] = 1
    assert second.payload == {}


@pytest.mark.parametrize("make", [new_object, known_object])
@pytest.mark.parametrize("name", ["nmae", "pk"])
def test_what_is_no_column_is_not_lost(make, name):
    with pytest.raises(TypeError, match=f"Site has no column {name}"):
        make(Site, site_id="a", **{name: 7})


def test_known_object_is_read_once_more_is_asked(db, django_assert_num_queries):
    site = make_site(name="Shop 1")
    known = known_object(Site, id=site.pk, site_id="shop-1")
    with django_assert_num_queries(0):
        assert (known.pk, known.site_id, known == site) == (site.pk, "shop-1", True)
    with django_assert_num_queries(1):
        assert known.name == "Shop 1"
    known.name = "Shop 2"
    known.save(update_fields=["name"])
    assert Site.objects.get().name == "Shop 2"


def test_known_object_refers_to_others(django_assert_num_queries):
    user = User(pk=3)
    job = known_object(Job, id=7, created_by=user)
    assert (job.created_by, job.created_by_id) == (user, 3)
