from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from audit.models import AuditLog
from devices.enums import DeviceStatus, LifecycleState
from devices.models import Device, DeviceCredential, StatusChange
from devices.tests.factories import make_credential, make_device
from homepot.models import ServicePulse
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db


def path_of(device: Device, action: str) -> str:
    return f"/api/v1/devices/devices/{device.device_id}/{action}"


def may_check_in(device: Device, key: str) -> int:
    agent = APIClient()
    agent.credentials(HTTP_X_DEVICE_ID=device.device_id, HTTP_X_API_KEY=key)
    return agent.post("/api/v1/agent/check-in", {}).status_code


def events() -> list[str]:
    return list(AuditLog.objects.order_by("id").values_list("event_type", flat=True))


def test_suspended_devices_wait_to_be_resumed(operator):
    device = make_device(last_seen=timezone.now())
    key = make_credential(device)

    answer = operator.post(path_of(device, "suspend"))
    assert (answer.status_code, answer.json()["lifecycle_state"]) == (200, "suspended")
    assert may_check_in(device, key) == 403
    again = operator.post(path_of(device, "suspend"))
    assert (again.status_code, again.json()["code"]) == (409, "device_suspended")

    assert operator.post(path_of(device, "resume")).json()["lifecycle_state"] == "active"
    assert may_check_in(device, key) == 200
    again = operator.post(path_of(device, "resume"))
    assert (again.status_code, again.json()["code"]) == (409, "device_not_suspended")
    assert events() == ["device_suspended", "device_resumed"]


def test_a_device_that_never_spoke_is_pending_again_when_resumed(operator):
    device = make_device(lifecycle_state=LifecycleState.SUSPENDED)
    assert operator.post(path_of(device, "resume")).json()["lifecycle_state"] == "pending"


def test_retired_devices_may_not_speak_and_can_be_re_enrolled(operator):
    device = make_device()
    old_key = make_credential(device)

    assert operator.post(path_of(device, "retire")).status_code == 204
    assert may_check_in(device, old_key) == 403
    answer = operator.post(path_of(device, "re-enrol"))

    assert (answer.status_code, answer.json()["lifecycle_state"]) == (200, "pending")
    assert may_check_in(device, old_key) == 401
    assert may_check_in(device, answer.json()["api_key"]) == 200
    assert Device.objects.get().pk == device.pk
    assert events() == ["device_retired", "device_re_enrolled"]
    assert answer.json()["api_key"] not in str(list(AuditLog.objects.values()))


def test_a_replaced_machine_does_not_inherit_the_faults_of_the_old_one(operator):
    now = timezone.now()
    device = make_device(
        status=DeviceStatus.ERROR,
        status_reason="Old machine broken",
        last_seen=now,
        last_reported_at=now + timedelta(days=1),
        bad_checks=7,
        status_due_at=now + timedelta(minutes=1),
    )

    answer = operator.post(path_of(device, "re-enrol")).json()

    assert (answer["status"], answer["status_reason"]) == ("unknown", "No check-in yet.")
    agent = APIClient()
    agent.credentials(HTTP_X_DEVICE_ID=device.device_id, HTTP_X_API_KEY=answer["api_key"])
    told = agent.post("/api/v1/agent/check-in", {"reported_at": now.isoformat()})
    assert told.json()["device_status"] == "online"
    changes = StatusChange.objects.order_by("id").values_list("new_status", flat=True)
    assert list(changes) == ["unknown", "online"]


def test_maintenance_that_ends_while_the_service_was_away_finds_nobody_silent(operator):
    now = timezone.now()
    ServicePulse.objects.create(beat_at=now, grace_until=now + timedelta(minutes=5))
    device = make_device(
        status=DeviceStatus.MAINTENANCE,
        maintenance_until=now + timedelta(hours=1),
        last_seen=now - timedelta(hours=3),
    )
    ended = operator.post(path_of(device, "maintenance"), {"until": None})
    assert ended.json()["status"] == "online"


def test_any_call_of_a_device_is_a_use_of_its_key(operator):
    device = make_device()
    key = make_credential(device)
    agent = APIClient()
    agent.credentials(HTTP_X_DEVICE_ID=device.device_id, HTTP_X_API_KEY=key)
    agent.post("/api/v1/agent/device-dna", {"firmware_version": "2"})

    new_key = operator.post(path_of(device, "rotate-key")).json()["api_key"]

    assert may_check_in(device, key) == 200
    agent.credentials(HTTP_X_DEVICE_ID=device.device_id, HTTP_X_API_KEY=new_key)
    assert agent.get("/api/v1/push/pending").status_code == 200
    assert may_check_in(device, key) == 401


def test_re_enrolment_is_refused_while_the_name_has_a_new_owner(operator):
    device = make_device(lifecycle_state=LifecycleState.RETIRED)
    make_device(site=device.site, name=device.name)

    answer = operator.post(path_of(device, "re-enrol"))

    assert (answer.status_code, list(answer.json()["errors"])) == (409, ["name"])
    device.refresh_from_db()
    assert device.lifecycle_state == LifecycleState.RETIRED
    assert not DeviceCredential.objects.exists()


def test_transfer_moves_a_device_with_its_key(operator):
    device, site = make_device(), make_site()
    key = make_credential(device)

    answer = operator.post(path_of(device, "transfer"), {"site_id": site.site_id})

    assert (answer.status_code, answer.json()["site_id"]) == (200, site.site_id)
    assert may_check_in(device, key) == 200
    row = AuditLog.objects.get()
    assert (row.event_type, row.old_values, row.new_values) == (
        "device_transferred",
        {"site": device.site.site_id},
        {"site": site.site_id},
    )


@pytest.mark.parametrize("refusal", ["name taken", "retired site", "unknown site"])
def test_transfer_is_refused(operator, refusal):
    device, site = make_device(name="Till"), make_site()
    if refusal == "name taken":
        make_device(site=site, name="Till")
    elif refusal == "retired site":
        Site.objects.filter(pk=site.pk).update(is_active=False)
    site_id = "site-none" if refusal == "unknown site" else site.site_id

    answer = operator.post(path_of(device, "transfer"), {"site_id": site_id})

    assert answer.status_code == (409 if refusal == "name taken" else 400)
    assert Device.objects.get(pk=device.pk).site == device.site
    assert not AuditLog.objects.exists()


def test_maintenance_lasts_until_its_end(operator):
    now = timezone.now()
    device = make_device(status=DeviceStatus.ONLINE, last_seen=now)
    until = now + timedelta(hours=1)

    answer = operator.post(path_of(device, "maintenance"), {"until": until.isoformat()})

    assert answer.json()["status"] == "maintenance"
    assert answer.json()["status_reason"].startswith("In maintenance until ")
    later = Device.objects.with_status(until + timedelta(seconds=1)).get()
    assert (later.current_status, later.current_since) == (DeviceStatus.OFFLINE, until)
    Device.objects.update(last_seen=until)
    later = Device.objects.with_status(until + timedelta(seconds=1)).get()
    assert later.current_status == DeviceStatus.ONLINE

    ended = operator.post(path_of(device, "maintenance"), {"until": None})
    assert (ended.json()["status"], ended.json()["maintenance_until"]) == ("online", None)
    assert operator.post(path_of(device, "maintenance"), {"until": None}).status_code == 200
    assert events() == ["maintenance_started", "maintenance_ended"]
    assert list(StatusChange.objects.order_by("id").values_list("new_status", flat=True)) == [
        "maintenance",
        "online",
    ]
    assert operator.post(path_of(device, "maintenance"), {}).status_code == 400


def test_rotated_keys_overlap_until_the_new_one_is_used(operator):
    device = make_device()
    old_key = make_credential(device)
    assert may_check_in(device, old_key) == 200

    answer = operator.post(path_of(device, "rotate-key"))
    new_key = answer.json()["api_key"]
    old = DeviceCredential.objects.order_by("id")[0]
    assert timedelta(hours=23) < old.expires_at - timezone.now() <= timedelta(hours=24)
    assert may_check_in(device, old_key) == 200
    assert may_check_in(device, new_key) == 200
    assert may_check_in(device, old_key) == 401
    assert may_check_in(device, new_key) == 200
    assert events() == ["device_key_created"]
    row = AuditLog.objects.get()
    assert new_key not in str(row.new_values)


def test_overlap_ends_by_itself(operator):
    device = make_device()
    old_key = make_credential(device)
    assert may_check_in(device, old_key) == 200
    operator.post(path_of(device, "rotate-key"))
    DeviceCredential.objects.filter(expires_at__isnull=False).update(expires_at=timezone.now())
    assert may_check_in(device, old_key) == 401


def test_keys_that_were_never_used_end_at_once_when_rotated(operator):
    device = make_device()
    never_used = make_credential(device)
    operator.post(path_of(device, "rotate-key"))
    assert may_check_in(device, never_used) == 401


def test_revoked_keys_end_with_the_next_request(operator):
    device = make_device()
    keys = [make_credential(device), make_credential(device)]
    assert operator.post(path_of(device, "revoke-keys")).status_code == 200
    assert [may_check_in(device, key) for key in keys] == [401, 401]
    assert operator.post(path_of(device, "revoke-keys")).status_code == 200
    assert events() == ["device_keys_revoked"]


def test_enrolment_key_is_shown_once_and_revoked(operator):
    site = make_site()
    path = f"/api/v1/devices/sites/{site.site_id}/enrolment-key"

    answer = operator.post(path)

    assert answer.status_code == 201
    key = answer.json()["enrolment_key"]
    assert (len(key), key[:4]) == (47, "hpe_")
    site.refresh_from_db()
    assert key not in (site.enrolment_key, site.enrolment_key_hint)
    assert operator.delete(path).status_code == 204
    assert operator.delete(path).status_code == 204
    assert events() == ["enrolment_key_created", "enrolment_key_revoked"]
    assert key not in str(list(AuditLog.objects.values()))


@pytest.mark.parametrize("expires_at", ["2020-01-01T00:00:00Z", "2199-01-01", "soon", 1])
def test_enrolment_key_ends_in_the_future(expires_at, operator):
    site = make_site()
    path = f"/api/v1/devices/sites/{site.site_id}/enrolment-key"
    answer = operator.post(path, {"expires_at": expires_at})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["expires_at"])
    ahead = operator.post(path, {"expires_at": "2199-01-01T00:00:00+01:00"})
    assert (ahead.status_code, ahead.json()["expires_at"]) == (201, "2198-12-31T23:00:00Z")
    row = AuditLog.objects.get()
    assert set(row.new_values) == {"enrolment_key_hint", "enrolment_key_expires_at"}


def test_bad_body_comes_before_a_missing_device(operator):
    path = "/api/v1/devices/devices/till-none/suspend"
    bad = operator.generic("POST", path, b"{", content_type="application/json")
    assert bad.status_code == 400
    assert operator.post(path).status_code == 404
