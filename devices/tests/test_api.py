from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditLog
from devices import services
from devices.enums import DeviceStatus, DeviceType, LifecycleState
from devices.models import Device, HealthCheck
from devices.sweeps import mark_silent_devices
from devices.tests.factories import make_device, make_health_check
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db

DEVICES = "/api/v1/devices/devices"


@pytest.mark.parametrize("rows", [1, 3, 300])
def test_device_list_takes_two_statements(viewer, rows, count_statements):
    site = make_site()
    for _ in range(rows):
        make_device(site=site)
    for path in (DEVICES, f"/api/v1/devices/sites/{site.site_id}/devices"):
        # 1. the caller's key, 2. the devices joined with their sites
        with count_statements(2):
            answer = viewer.get(path, {"limit": 1000})
        assert len(answer.json()["devices"]) == rows


def test_device_detail_takes_two_statements(viewer, count_statements):
    device = make_device(config={"gateway_url": "https://payments.example.com"})
    # 1. the caller's key, 2. the device
    with count_statements(2):
        answer = viewer.get(f"{DEVICES}/{device.device_id}")
    assert answer.json() == viewer.get(DEVICES).json()["devices"][0]
    assert answer.json()["site_id"] == device.site.site_id
    assert answer.json()["config"] == {"gateway_url": "https://payments.example.com"}


@pytest.mark.parametrize("is_nested", [True, False])
def test_device_create_registers_a_pending_device(operator, is_nested):
    site = make_site()
    body = {
        "device_id": "till-1",
        "name": "Till 1",
        "device_type": "pos_terminal",
        "ip_address": "2001:db8::1",
        "mac_address": "00-1A-2B-3C-4D-5E",
        "config": {"lanes": [1, 2.5, None, "x"]},
    }
    if is_nested:
        answer = operator.post(f"/api/v1/devices/sites/{site.site_id}/devices", body)
    else:
        answer = operator.post(DEVICES, body | {"site_id": site.site_id})

    assert answer.status_code == 201, answer.content
    created = answer.json()
    assert created.pop("api_key").startswith("hpd_")
    assert created == operator.get(f"{DEVICES}/till-1").json()
    expected = body | {
        "site_id": site.site_id,
        "mac_address": "00:1a:2b:3c:4d:5e",
        "status": "unknown",
        "lifecycle_state": "pending",
    }
    assert expected.items() <= answer.json().items()
    row = AuditLog.objects.get()
    assert (row.event_type, row.device.device_id, row.site) == ("device_created", "till-1", site)


def test_devices_are_ordered_by_since_once_silence_is_written_down(viewer):
    now = timezone.now()
    hours = {name: now - timedelta(hours=number) for number, name in enumerate("abcde", start=1)}
    online = {"status": DeviceStatus.ONLINE, "last_seen": hours["e"]}
    make_device(device_id="b", status_since=hours["b"])
    # Silent since `a`, long before anything is written down.
    make_device(device_id="a", status_since=hours["d"], status_due_at=hours["a"], **online)
    make_device(device_id="c", status_since=hours["c"])

    def walk() -> tuple[list[str], list[str]]:
        """Page by page: which devices, and since when they show to be so."""
        link, devices = f"{DEVICES}?ordering=status_since&limit=1", []
        while link:
            page = viewer.get(link).json()
            devices += page["devices"]
            link = page["next"]
        return [row["device_id"] for row in devices], [row["status_since"] for row in devices]

    unswept, _ = walk()
    mark_silent_devices(now)
    swept, shown = walk()

    assert sorted(unswept) == swept[::-1] == ["a", "b", "c"]
    assert shown == sorted(shown)


def test_device_create_makes_an_id_that_begins_with_the_type(operator):
    site = make_site()
    answer = operator.post(
        DEVICES, {"site_id": site.site_id, "name": "Hub", "device_type": "iot_sensor"}
    )
    assert answer.json()["device_id"].startswith("iot-sensor-")


def test_device_create_at_an_unknown_or_retired_site_is_refused(operator):
    retired = make_site(is_active=False)
    for site_id in ("site-none", retired.site_id):
        answer = operator.post(DEVICES, {"site_id": site_id, "name": "Till"})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["site_id"])
        nested = operator.post(f"/api/v1/devices/sites/{site_id}/devices", {"name": "Till"})
        assert nested.status_code == 404
    assert not Device.objects.exists()


@pytest.mark.parametrize("field", ["device_id", "name"])
def test_device_create_refuses_what_is_taken(operator, field):
    taken = make_device()
    body = {"site_id": taken.site.site_id, "device_id": "till-new", "name": "Till new"}

    answer = operator.post(DEVICES, body | {field: getattr(taken, field)})

    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
    assert list(answer.json()["errors"]) == [field]
    assert not AuditLog.objects.exists()


def test_device_name_is_free_again_once_its_owner_is_retired(operator):
    retired = make_device(lifecycle_state=LifecycleState.RETIRED)
    answer = operator.post(DEVICES, {"site_id": retired.site.site_id, "name": retired.name})
    assert answer.status_code == 201


def test_device_patch_audits_before_and_after(operator):
    device = make_device(name="Till", config={"a": 1})

    answer = operator.patch(f"{DEVICES}/{device.device_id}", {"config": {"a": 2}, "name": "Till"})

    assert answer.json()["config"] == {"a": 2}
    row = AuditLog.objects.get()
    assert (row.old_values, row.new_values) == ({"config": {"a": 1}}, {"config": {"a": 2}})


def test_device_patch_keeps_a_health_check_that_came_meanwhile(operator):
    device = make_device()
    stale = Device.objects.get(pk=device.pk)
    operator.post(f"{DEVICES}/{device.device_id}/health-checks", {"is_healthy": True})

    services.update_device(device=stale, actor=None, name="Renamed")

    device.refresh_from_db()
    assert (device.name, device.status) == ("Renamed", DeviceStatus.ONLINE)


def test_device_patch_to_a_taken_name_is_refused(operator):
    site = make_site()
    make_device(site=site, name="One")
    two = make_device(site=site, name="Two")

    answer = operator.patch(f"{DEVICES}/{two.device_id}", {"name": "One"})

    assert (answer.status_code, list(answer.json()["errors"])) == (409, ["name"])


@pytest.mark.parametrize("field", ["site_id", "device_id"])
def test_device_identity_cannot_be_patched(operator, field):
    device, other_site = make_device(), make_site()
    same = {"site_id": device.site.site_id, "device_id": device.device_id}
    other = {"site_id": other_site.site_id, "device_id": "till-other"}

    answer = operator.patch(f"{DEVICES}/{device.device_id}", {field: other[field]})
    assert answer.status_code == 400
    assert answer.json()["errors"] == {field: ["This cannot be changed."]}
    assert operator.patch(f"{DEVICES}/{device.device_id}", same).status_code == 200


def test_device_delete_retires_it(operator):
    device = make_device()

    assert operator.delete(f"{DEVICES}/{device.device_id}").status_code == 204
    assert operator.delete(f"{DEVICES}/{device.device_id}").status_code == 404
    assert operator.get(DEVICES).json()["devices"] == []
    device.refresh_from_db()
    assert (device.lifecycle_state, device.is_active) == (LifecycleState.RETIRED, False)
    assert AuditLog.objects.get().event_type == "device_retired"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"device_type": "kiosk"}, ["Kiosk"]),
        ({"status": "error"}, ["Kiosk"]),
        ({"status": "offline"}, ["Silent"]),
        ({"lifecycle_state": "pending"}, ["New"]),
        ({"search": "10.1.2"}, ["Kiosk"]),
        ({"search": "new"}, ["New"]),
        ({"site_id": "site-900"}, ["New"]),
        ({"site_id": "site-none"}, []),
        ({"ordering": "name"}, ["Kiosk", "New", "Silent"]),
    ],
)
def test_device_filters(viewer, query, found):
    now = timezone.now()
    make_device(
        name="Kiosk",
        device_type=DeviceType.KIOSK,
        status=DeviceStatus.ERROR,
        ip_address="10.1.2.3",
    )
    make_device(
        name="Silent",
        status=DeviceStatus.ONLINE,
        status_due_at=now - timedelta(seconds=1),
    )
    make_device(
        name="New",
        lifecycle_state=LifecycleState.PENDING,
        site=make_site(site_id="site-900"),
    )

    answer = viewer.get(DEVICES, query)

    assert [device["name"] for device in answer.json()["devices"]] == found


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"is_healthy": True, "response_time_ms": 42}, "online", "Checks in, healthy."),
        ({"is_healthy": False}, "error", "The last check was unhealthy."),
        ({"is_healthy": False, "error_message": "No paper"}, "error", "No paper"),
    ],
)
def test_health_check_moves_the_status(operator, body, status, reason):
    device = make_device()
    path = f"{DEVICES}/{device.device_id}"

    answer = operator.post(f"{path}/health-checks", body)

    assert answer.status_code == 201, answer.content
    assert body.items() <= answer.json().items()
    shown = operator.get(path).json()
    assert (shown["status"], shown["status_reason"]) == (status, reason)
    assert shown["last_seen"] == shown["status_since"] == answer.json()["checked_at"]
    # A check is a history of its own.
    assert not AuditLog.objects.exists()


def test_second_check_of_the_same_kind_keeps_since(operator):
    device = make_device()
    path = f"{DEVICES}/{device.device_id}"
    operator.post(f"{path}/health-checks", {"is_healthy": True})
    since = operator.get(path).json()["status_since"]

    operator.post(f"{path}/health-checks", {"is_healthy": True})

    shown = operator.get(path).json()
    assert shown["status_since"] == since
    assert shown["last_seen"] > since


def test_health_check_history_filters_and_pages(viewer, count_statements):
    device = make_device()
    start = timezone.now() - timedelta(hours=5)
    for hour in range(5):
        make_health_check(
            device=device, is_healthy=hour != 2, checked_at=start + timedelta(hours=hour)
        )
    make_health_check()
    path = f"{DEVICES}/{device.device_id}/health-checks"

    # 1. the caller's key, 2. the checks
    with count_statements(2):
        page = viewer.get(path, {"limit": 2}).json()
    assert [check["checked_at"] for check in page["health_checks"]] == [
        (start + timedelta(hours=hour)).isoformat().replace("+00:00", "Z") for hour in (4, 3)
    ]
    assert len(viewer.get(page["next"]).json()["health_checks"]) == 2
    bad = viewer.get(path, {"is_healthy": "false"}).json()["health_checks"]
    assert [check["is_healthy"] for check in bad] == [False]
    since = (start + timedelta(hours=3)).isoformat()
    assert len(viewer.get(path, {"since": since}).json()["health_checks"]) == 2
    assert len(viewer.get(path, {"until": since}).json()["health_checks"]) == 3


def test_health_checks_of_an_unknown_device_are_404(operator):
    path = f"{DEVICES}/till-none/health-checks"
    assert operator.get(path).status_code == 404
    assert operator.post(path, {"is_healthy": True}).status_code == 404
    assert not HealthCheck.objects.exists()


@pytest.mark.parametrize("rows", [3, 300])
def test_site_health_takes_two_statements(viewer, rows, count_statements):
    site = make_site()
    for _ in range(rows):
        make_device(site=site)
    # 1. the caller's key, 2. the site joined with its devices
    with count_statements(2):
        answer = viewer.get(f"/api/v1/health/sites/{site.site_id}/health")
    assert answer.json()["total_devices"] == rows


def test_site_health_counts_by_status(viewer):
    site = make_site()
    now = timezone.now()
    online = make_device(
        site=site,
        name="A",
        status=DeviceStatus.ONLINE,
        last_seen=now,
        status_since=now,
        status_due_at=now + timedelta(minutes=2),
        ip_address="10.0.0.1",
    )
    make_device(site=site, name="B", status=DeviceStatus.ONLINE, status_due_at=now)
    make_device(site=site, name="C", status=DeviceStatus.ERROR)
    make_device(site=site, name="D", status=DeviceStatus.MAINTENANCE)
    make_device(site=site, name="E", lifecycle_state=LifecycleState.PENDING)
    make_device(site=site, name="F", lifecycle_state=LifecycleState.RETIRED)
    make_device(name="elsewhere")

    body = viewer.get(f"/api/v1/health/sites/{site.site_id}/health").json()

    assert body.pop("last_updated") >= now.isoformat().replace("+00:00", "Z")
    devices = body.pop("devices")
    assert body == {
        "site_id": site.site_id,
        "total_devices": 5,
        "healthy_devices": 1,
        "offline_devices": 1,
        "error_devices": 1,
        "maintenance_devices": 1,
        "unknown_devices": 1,
        "health_percentage": 20.0,
        "status_summary": "1/5 terminals healthy",
    }
    assert [device["status"] for device in devices] == [
        "online",
        "offline",
        "error",
        "maintenance",
        "unknown",
    ]
    assert devices[0] == {
        "device_id": online.device_id,
        "name": "A",
        "type": "pos_terminal",
        "status": "online",
        "ip_address": "10.0.0.1",
        "last_seen": now.isoformat().replace("+00:00", "Z"),
    }


def test_site_health_of_an_empty_site(viewer):
    site = make_site()
    body = viewer.get(f"/api/v1/health/sites/{site.site_id}/health").json()
    assert (body["total_devices"], body["health_percentage"], body["devices"]) == (0, 0.0, [])
    assert body["status_summary"] == "0/0 terminals healthy"
    assert viewer.get("/api/v1/health/sites/site-none/health").status_code == 404
