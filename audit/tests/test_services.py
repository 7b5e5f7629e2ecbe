from __future__ import annotations

import pytest
from django.db import transaction
from django.test import RequestFactory

from accounts.enums import Role
from accounts.tests.factories import make_user
from audit import services as audit
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.tests.factories import make_device
from homepot.request_context import context_of, current_request
from jobs.tests.factories import make_job
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db


def test_record_names_actor_target_and_place():
    actor, device = make_user(role=Role.OPERATOR), make_device()

    audit.record(
        event=AuditEvent.DEVICE_UPDATED,
        actor=actor,
        target=device,
        changes={"name": ("Old", "New")},
    )

    row = AuditLog.objects.get()
    assert (row.actor_kind, row.actor_label, row.user_id) == ("user", actor.username, actor.pk)
    assert (row.device_id, row.site_id, row.job_id) == (device.pk, device.site_id, None)
    assert (row.target_type, row.target_label) == ("device", str(device))
    assert (row.old_values, row.new_values) == ({"name": "Old"}, {"name": "New"})
    assert (row.request_id, row.ip_address, row.user_agent) == ("", "", "")


def test_record_of_a_device_and_of_the_system():
    device = make_device()
    audit.record(event=AuditEvent.JOB_CREATED, actor=device, target=make_job(device=device))
    audit.record(event=AuditEvent.SITE_UPDATED, actor=None, target=make_site())

    by_system, by_device = AuditLog.objects.all()
    assert (by_device.actor_kind, by_device.actor_label) == ("device", device.device_id)
    assert by_device.device_id == device.pk
    assert (by_system.actor_kind, by_system.actor_label) == ("system", "system")


def test_record_masks_secrets():
    changes = {"password": ("old", "new"), "api_key": (None, "digest"), "name": ("a", "b")}
    audit.record(event=AuditEvent.USER_UPDATED, actor=None, changes=changes)

    row = AuditLog.objects.get()
    assert row.old_values == {"password": "***", "api_key": None, "name": "a"}
    assert row.new_values == {"password": "***", "api_key": "***", "name": "b"}


def test_record_masks_secrets_deep_within_a_configuration():
    config = {"gateway": {"API_Key": "sesame", "url": "https://pay"}, "tills": [{"token": "x"}]}
    audit.record(event=AuditEvent.DEVICE_UPDATED, actor=None, changes={"config": ({}, config)})
    assert AuditLog.objects.get().new_values == {
        "config": {"gateway": {"API_Key": "***", "url": "https://pay"}, "tills": [{"token": "***"}]}
    }


def test_record_takes_the_request_from_its_context():
    request = RequestFactory().get(
        "/", REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="curl\n/8", HTTP_X_REQUEST_ID="order-1234"
    )
    token = current_request.set(context_of(request))
    try:
        audit.record(event=AuditEvent.SITE_UPDATED, actor=None)
    finally:
        current_request.reset(token)

    row = AuditLog.objects.get()
    assert (row.request_id, row.ip_address, row.user_agent) == (
        "order-1234",
        "192.0.2.7",
        "curl/8",
    )


def test_rows_go_with_the_change_they_tell_of():
    def change_and_crash() -> None:
        audit.record(event=AuditEvent.SITE_UPDATED, actor=None, target=make_site())
        raise RuntimeError("after the change")

    with pytest.raises(RuntimeError), transaction.atomic():
        change_and_crash()
    assert not AuditLog.objects.exists()


def test_references_survive_what_they_name():
    site = make_site()
    audit.record(event=AuditEvent.SITE_CREATED, actor=None, target=site)
    pk = site.pk
    site.delete()

    row = AuditLog.objects.select_related("site").get()
    assert (row.site_id, row.site, row.target_label) == (pk, None, str(site))
