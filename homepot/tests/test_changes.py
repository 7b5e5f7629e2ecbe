"""Rows are written by the short way as they are by Django's."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from audit.models import AuditLog
from devices.tests.factories import make_device
from homepot.changes import insert_row
from jobs.tests.factories import make_job
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db


def audit_row() -> AuditLog:
    values = {"ä": [1, None, 0.5, "it's 100 %"]}
    return AuditLog.objects.create(event_type="site_created", old_values=values)


@pytest.mark.parametrize(
    ("make", "other"),
    [
        (make_site, {"site_id": "other"}),
        (make_device, {"device_id": "other", "name": "Other"}),
        (make_job, {"job_id": "other"}),
        (audit_row, {}),
    ],
)
def test_row_is_what_save_would_have_made_it(make, other):
    saved = make()
    columns = [column.attname for column in saved._meta.concrete_fields if column.attname != "id"]
    row = type(saved)(**{name: getattr(saved, name) for name in columns} | other)
    insert_row(row)

    assert (row._state.adding, row._state.db) == (False, "default")
    stored = type(saved).objects.get(pk=row.pk)
    assert stored.pk != saved.pk
    for name in columns:
        if name not in (*other, "updated_at"):
            assert getattr(stored, name) == getattr(saved, name)


def test_taken_value_is_refused():
    site = make_site()
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_row(Site(site_id=site.site_id, name="Again"))
    assert Site.objects.count() == 1
