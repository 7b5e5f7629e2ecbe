from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from audit.models import AuditLog
from devices import services
from devices.enums import DeviceStatus, DeviceType, LifecycleState
from devices.errors import DeviceMayNotSpeakError
from devices.models import Device, DeviceEvent, HealthCheck, StatusChange
from devices.reports import Report
from devices.tests.factories import make_credential, make_device
from homepot.rates import Rate
from homepot.testing.threads import run_together
from sites import services as sites
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db


def client_of(device: Device) -> APIClient:
    api = APIClient()
    api.credentials(HTTP_X_DEVICE_ID=device.device_id, HTTP_X_API_KEY=make_credential(device))
    return api


def test_check_in_answers_all_in_one_round_trip(count_statements):
    device = make_device()
    agent = client_of(device)
    before = timezone.now()

    with count_statements(5, or_fewer=True):
        answer = agent.post(
            "/api/v1/agent/check-in",
            {"is_healthy": True, "response_time_ms": 12.6, "unknown": 1, "endpoint": None},
        )

    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body.pop("server_time") >= before.isoformat().replace("+00:00", "Z")
    assert 54 <= body.pop("next_check_in_seconds") <= 66
    assert body == {
        "status": "success",
        "device_id": device.device_id,
        "device_status": "online",
        "commands": [],
        "cancelled": [],
    }
    assert HealthCheck.objects.get().response_time_ms == 13
    assert answer["X-Request-ID"]
    assert not AuditLog.objects.exists()


@pytest.mark.parametrize("path", ["agent/check-in", "agent/check-in/", "agent/heartbeat"])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_empty_bodies_are_taken(path, body):
    agent = client_of(make_device())
    answer = agent.generic("POST", f"/api/v1/{path}", body, content_type="application/json")
    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"is_healthy": "perhaps"}', "is_healthy"),
        (b'{"is_healthy": []}', "is_healthy"),
        (b'{"response_time_ms": -1}', "response_time_ms"),
        (b'{"response_time_ms": "12"}', "response_time_ms"),
        (b'{"response_time_ms": 4294967296}', "response_time_ms"),
        (b'{"status_code": 99}', "status_code"),
        (b'{"error_message": {"a": 1}}', "error_message"),
        (b"[]", "non_field_errors"),
    ],
)
def test_bad_check_ins_are_refused_by_field(body, field):
    agent = client_of(make_device())
    answer = agent.generic("POST", "/api/v1/agent/check-in", body, content_type="application/json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert answer["Content-Type"] == "application/problem+json"
    assert not HealthCheck.objects.exists()


@pytest.mark.parametrize(
    "time",
    ["1970-01-01T00:00:00Z", "3000-01-01T00:00:00Z", "2026-01-01T00:00:00", "now", 5, [], {}, ""],
    ids=str,
)
def test_unusable_times_of_devices_count_as_not_told(time):
    agent = client_of(make_device())
    answers = [
        agent.post("/api/v1/agent/check-in", {"reported_at": time}),
        agent.post("/api/v1/agent/check-ins", {"check_ins": [{"reported_at": time}] * 2}),
        agent.post("/api/v1/agent/telemetry", {"cpu_usage": 1, "timestamp": time}),
        agent.post("/api/v1/agent/heartbeat", {"timestamp": time}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert answers[1].json() == {"accepted": 2, "rejected": []}
    assert set(HealthCheck.objects.values_list("reported_at", flat=True)) == {None}
    assert HealthCheck.objects.count() == 4


@pytest.mark.parametrize("path", ["agent/check-in", "agent/heartbeat", "agent/telemetry"])
@pytest.mark.parametrize(
    ("method", "body", "headers"),
    [
        ("POST", b"{", {}),
        ("POST", b'{"device_id": "till-other", "cpu_usage": "x", "is_healthy": 7}', {}),
        ("POST", b"{}", {"CONTENT_LENGTH": str(10**9)}),
        ("PUT", b"{}", {}),
    ],
    ids=["no JSON", "bad fields", "too large", "wrong method"],
)
def test_who_may_not_speak_hears_of_that_before_all_else(path, method, body, headers):
    suspended = client_of(make_device(lifecycle_state=LifecycleState.SUSPENDED))
    nobody = APIClient()
    nobody.credentials(HTTP_X_DEVICE_ID="till-none", HTTP_X_API_KEY="hpd_wrong")
    for agent, status, detail in (
        (suspended, 403, "This device is suspended; it may not speak."),
        (nobody, 401, "The device id or its key is not valid."),
    ):
        answer = agent.generic(
            method, f"/api/v1/{path}", body, content_type="application/json", **headers
        )
        assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer["WWW-Authenticate"].startswith("ApiKey ")


def test_unknown_id_and_wrong_key_answer_the_same():
    device = make_device()
    answers = []
    for device_id in (device.device_id, "till-none"):
        for path in ("agent/check-in", "agent/heartbeat", "agent/telemetry", "agent/logs"):
            api = APIClient()
            api.credentials(HTTP_X_DEVICE_ID=device_id, HTTP_X_API_KEY="hpd_wrong")
            answer = api.post(f"/api/v1/{path}", {})
            answers.append((answer.status_code, answer.json()))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 401


@pytest.mark.parametrize("state", [LifecycleState.SUSPENDED, LifecycleState.RETIRED])
@pytest.mark.parametrize("path", ["agent/check-in", "agent/heartbeat", "agent/telemetry"])
def test_suspended_and_retired_devices_get_403(state, path):
    answer = client_of(make_device(lifecycle_state=state)).post(f"/api/v1/{path}", {})
    assert answer.status_code == 403
    assert state in answer.json()["detail"]


def test_other_methods_are_405():
    answer = client_of(make_device()).get("/api/v1/agent/check-in")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_heartbeat_moves_last_seen_and_stores_no_check():
    device = make_device()
    answer = client_of(device).post(
        "/api/v1/agent/heartbeat",
        {"device_id": device.device_id, "timestamp": "2026-01-01T00:00:00Z", "status": "ok"},
    )
    device.refresh_from_db()
    assert answer.json()["data"]["device_id"] == device.device_id
    assert device.status == DeviceStatus.ONLINE
    assert not HealthCheck.objects.exists()


@pytest.mark.parametrize("path", ["heartbeat", "telemetry", "device-dna", "logs"])
def test_a_device_speaks_for_itself_only(path):
    device, other = make_device(), make_device()
    answer = client_of(device).post(f"/api/v1/agent/{path}", {"device_id": other.device_id})
    assert answer.status_code == 403
    other.refresh_from_db()
    assert other.last_seen is None


@pytest.mark.parametrize("device_id", [["x"], {}, True])
def test_who_a_report_is_about_is_never_guessed(device_id):
    device = make_device()
    agent = client_of(device)
    for path in ("heartbeat", "telemetry", "device-dna", "logs"):
        answer = agent.post(f"/api/v1/agent/{path}", {"device_id": device_id})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["device_id"])
    batch = {"check_ins": [{"device_id": device_id}, {"device_id": device.device_id + "x" * 100}]}
    assert agent.post("/api/v1/agent/check-ins", batch).json()["accepted"] == 0
    assert not HealthCheck.objects.exists()
    assert not DeviceEvent.objects.exists()


@pytest.mark.parametrize("path", ["telemetry", "logs"])
def test_lists_that_speak_for_another_device_are_refused_whole(path):
    site = make_site()
    gateway = make_device(site=site, device_type=DeviceType.GATEWAY)
    for agent in (client_of(gateway), client_of(make_device(site=site))):
        samples = [{"cpu_usage": 1}, {"device_id": make_device(site=site).device_id}]
        assert agent.post(f"/api/v1/agent/{path}", samples).status_code == 403
    assert not HealthCheck.objects.exists()
    assert not DeviceEvent.objects.exists()


def test_a_call_under_way_does_not_bring_a_suspended_device_back():
    device = make_device()
    services.suspend_device(device=Device.objects.get(pk=device.pk), actor=None)
    for call in (
        partial(services.record_facts, facts={"firmware_version": "2"}),
        partial(services.grant_permissions, permissions={"root_access": True}),
    ):
        with pytest.raises(DeviceMayNotSpeakError):
            call(device=device)
    with pytest.raises(DeviceMayNotSpeakError):
        services.check_in_many(reporter_id=device.device_id, reports={0: ("", Report())})
    device.refresh_from_db()
    assert (device.lifecycle_state, device.last_seen) == (LifecycleState.SUSPENDED, None)


# Batches


def entries_of(devices: list[Device], count: int) -> list[dict[str, object]]:
    start = timezone.now() - timedelta(days=1)
    return [
        {
            "device_id": devices[number % len(devices)].device_id,
            "response_time_ms": number,
            "reported_at": (start + timedelta(seconds=number)).isoformat(),
        }
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_gateway_batch_takes_a_constant_number_of_statements(count, count_statements):
    site = make_site()
    gateway = make_device(site=site, device_type=DeviceType.GATEWAY)
    devices = [make_device(site=site) for _ in range(min(count, 100))]
    agent = client_of(gateway)

    # 1. the key with its device, 2. its use, 3. the devices, 4. the checks, 5. the devices,
    # 6. status changes
    with count_statements(6):
        answer = agent.post("/api/v1/agent/check-ins", {"check_ins": entries_of(devices, count)})

    assert answer.json() == {"accepted": count, "rejected": []}
    assert HealthCheck.objects.filter(reported_by=gateway).count() == count
    assert StatusChange.objects.count() == len(devices)
    assert set(Device.objects.filter(pk__in=[d.pk for d in devices]).values_list("status")) == {
        ("online",)
    }


def test_batch_rejects_single_entries_and_keeps_the_rest():
    site = make_site()
    gateway = make_device(site=site, device_type=DeviceType.GATEWAY)
    own, elsewhere = make_device(site=site), make_device()
    pending = make_device(site=site, lifecycle_state=LifecycleState.PENDING)
    entries = [
        {"device_id": own.device_id},
        {"device_id": elsewhere.device_id},
        {"device_id": "till-none"},
        {"device_id": pending.device_id},
        {"device_id": own.device_id, "status_code": 7},
        "nonsense",
        {"device_id": gateway.device_id, "is_healthy": False},
        {},
    ]
    answer = client_of(gateway).post("/api/v1/agent/check-ins", {"check_ins": entries})

    body = answer.json()
    assert body["accepted"] == 3
    assert [entry["index"] for entry in body["rejected"]] == [1, 2, 3, 4, 5]
    assert body["rejected"][0]["detail"] == body["rejected"][1]["detail"]
    told_by = {gateway.pk: None, own.pk: gateway.pk}
    checks = HealthCheck.objects.values_list("device", "reported_by")
    assert [told_by[pk] for pk, _ in checks] == [reporter for _, reporter in checks]
    assert len(checks) == 3
    elsewhere.refresh_from_db()
    assert elsewhere.last_seen is None


def test_a_pending_gateway_reports_for_nobody_else():
    site = make_site()
    pending = {"device_type": DeviceType.GATEWAY, "lifecycle_state": LifecycleState.PENDING}
    gateway, till = make_device(site=site, **pending), make_device(site=site)
    agent = client_of(gateway)
    forged = {"check_ins": [{"device_id": till.device_id, "is_healthy": False}]}
    assert agent.post("/api/v1/agent/check-ins", forged).json()["accepted"] == 0
    till.refresh_from_db()
    assert till.last_seen is None


def test_a_batch_that_ends_as_it_began_changes_no_since():
    now = timezone.now()
    since = now - timedelta(days=3)
    device = make_device(
        status=DeviceStatus.ONLINE,
        status_since=since,
        last_seen=now,
        status_due_at=now + timedelta(minutes=2),
    )
    past = [
        {"is_healthy": is_healthy, "reported_at": (now + timedelta(seconds=n)).isoformat()}
        for n, is_healthy in enumerate([False, True])
    ]
    client_of(device).post("/api/v1/agent/check-ins", {"check_ins": past})
    device.refresh_from_db()
    assert (device.status, device.status_since) == (DeviceStatus.ONLINE, since)
    assert not StatusChange.objects.exists()


def test_ordinary_device_reports_its_own_past_once_each():
    device = make_device()
    neighbour = make_device(site=device.site)
    now = timezone.now()
    past = [
        {
            "is_healthy": minute != 3,
            "reported_at": (now - timedelta(minutes=minute)).isoformat(),
        }
        for minute in range(10)
    ]
    agent = client_of(device)

    first = agent.post("/api/v1/agent/check-ins", {"check_ins": [*past, past[0]]})
    again = agent.post("/api/v1/agent/check-ins", {"check_ins": past})
    foreign = agent.post(
        "/api/v1/agent/check-ins", {"check_ins": [{"device_id": neighbour.device_id}]}
    )

    assert first.json() == {"accepted": 11, "rejected": []}
    assert again.json() == {"accepted": 10, "rejected": []}
    assert foreign.json()["accepted"] == 0
    assert HealthCheck.objects.filter(device=device).count() == 10
    device.refresh_from_db()
    # In the order of the device's clock, whatever the order of the entries: the last was good.
    assert (device.status, device.bad_checks) == (DeviceStatus.ONLINE, 0)
    change = StatusChange.objects.get()
    assert (change.old_status, change.new_status) == ("unknown", "online")
    assert change.evidence == HealthCheck.objects.latest("reported_at").pk


@pytest.mark.parametrize("check_ins", [None, [], {}, "x", [{}] * 1001])
def test_batches_of_no_or_too_many_entries_are_refused(check_ins):
    answer = client_of(make_device()).post("/api/v1/agent/check-ins", {"check_ins": check_ins})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["check_ins"])


# Telemetry, facts, permissions, events


@pytest.mark.parametrize(
    ("sample", "is_healthy", "message"),
    [
        ({"cpu_usage": 50, "memory_usage": 90, "disk_usage": 1.5}, True, ""),
        ({"cpu_usage": 90.1}, False, "Too high: cpu_usage 90.1 %."),
        ({"network_latency_ms": 201}, False, "Too high: network_latency_ms 201."),
    ],
)
def test_telemetry_is_stored_as_health_checks(sample, is_healthy, message):
    device = make_device()
    answer = client_of(device).post("/api/v1/agent/telemetry", sample)
    assert answer.json()["data"] == {"device_id": device.device_id, "saved_count": 1}
    check = HealthCheck.objects.get()
    assert (check.is_healthy, check.error_message, check.response_data) == (
        is_healthy,
        message,
        sample,
    )


def test_telemetry_takes_lists_and_refuses_bad_samples_whole():
    device = make_device()
    agent = client_of(device)
    listed = agent.post(
        "/api/v1/agent/telemetry",
        [{"cpu_usage": 1, "timestamp": f"2026-01-01T00:0{minute}:00Z"} for minute in range(5)],
    )
    refused = agent.post("/api/v1/agent/telemetry", [{"cpu_usage": 1}, {"cpu_usage": 101}])
    assert listed.json()["data"]["saved_count"] == 5
    assert refused.status_code == 400
    assert HealthCheck.objects.count() == 5


def test_device_dna_activates_a_pending_device_and_is_audited():
    device = make_device(lifecycle_state=LifecycleState.PENDING)
    answer = client_of(device).post(
        "/api/v1/agent/device-dna",
        {
            "device_id": device.device_id,
            "mac_address": "00-1A-2B-3C-4D-5E",
            "os_details": "Debian 12",
            "local_ip": "10.0.0.7",
            "wan_ip": "192.0.2.7",
            "firmware_version": "2.1",
            "peripherals": ["printer"],
            "site_id": "site-elsewhere",
        },
    )
    assert answer.status_code == 200, answer.content
    device.refresh_from_db()
    assert (device.lifecycle_state, device.mac_address, device.ip_address) == (
        LifecycleState.ACTIVE,
        "00:1a:2b:3c:4d:5e",
        "10.0.0.7",
    )
    assert device.os_details == {
        "os": "Debian 12",
        "wan_ip": "192.0.2.7",
        "peripherals": ["printer"],
    }
    row = AuditLog.objects.get()
    assert (row.event_type, row.actor_kind, row.actor_label) == (
        "device_updated",
        "device",
        device.device_id,
    )
    bad = client_of(device).post("/api/v1/agent/device-dna", {"mac_address": "nonsense"})
    assert list(bad.json()["errors"]) == ["mac_address"]


def test_device_grants_its_own_permissions():
    device, other = make_device(), make_device()
    agent = client_of(device)
    path = f"/api/v1/devices/device/{device.device_id}/permissions"

    answer = agent.patch(path, {"permissions": {"root_access": True, "made_up": True}})

    assert answer.json()["data"] == {
        "device_id": device.device_id,
        "permissions": {"root_access": True},
        "capabilities": ["root_access"],
    }
    assert agent.get(path).json() == answer.json()
    for nothing in ({}, {"permissions": None}, {"permissions": {"root_access": None}}):
        assert agent.patch(path, nothing).json() == answer.json()
    assert AuditLog.objects.get().event_type == "device_permissions_changed"
    foreign = f"/api/v1/devices/device/{other.device_id}/permissions"
    assert agent.get(foreign).status_code == 404
    assert agent.patch(foreign, {"permissions": {}}).status_code == 404


@pytest.mark.parametrize(
    ("path", "kind"),
    [("logs", "log"), ("audit", "audit"), ("alert", "alert"), ("config-history", "config")],
)
def test_events_are_kept_as_told(path, kind, viewer):
    device = make_device()
    told = {"event_type": "paper_low", "level": "WARNING", "message": "Paper", "roll": 2}
    answer = client_of(device).post(f"/api/v1/agent/{path}", [told, {"message": None}])
    assert answer.json()["data"]["saved_count"] == 2
    first = DeviceEvent.objects.order_by("id")[0]
    assert (first.kind, first.event_type, first.severity, first.data) == (
        kind,
        "paper_low",
        "warning",
        told,
    )
    listed = viewer.get(f"/api/v1/devices/devices/{device.device_id}/events").json()["events"]
    assert [event["message"] for event in listed] == ["", "Paper"]
    assert not AuditLog.objects.exists()


def test_older_agents_find_no_pushes():
    agent = client_of(make_device())
    assert agent.get("/api/v1/push/pending").json() == {"pushes": []}
    assert agent.post("/api/v1/push/ack", {"id": 1}).json() == {"status": "success"}


# Enrolment


@pytest.fixture
def enrolment():
    site = make_site()
    key = sites.make_enrolment_key(site=site, actor=None)
    return site, key


def provision(site_id: str, key: str, **fields: object):
    body = {"site_id": site_id, "bootstrap_key": key, "device_name": "Till 1"} | fields
    return APIClient().post("/api/v1/devices/bootstrap-provision", body)


def test_device_enrols_itself_and_checks_in(enrolment):
    site, key = enrolment
    answer = provision(site.site_id, key, device_type="pos_terminal", os_details={"a": 1})

    assert answer.status_code == 201, answer.content
    data = answer.json()["data"]
    assert data["site_id"] == site.site_id
    assert data["device_id"].startswith("pos-terminal-")
    device = Device.objects.get(device_id=data["device_id"])
    assert (device.lifecycle_state, device.os_details) == (LifecycleState.PENDING, {"a": 1})
    row = AuditLog.objects.get(event_type="device_enrolled")
    assert (row.actor_kind, row.target_label) == ("device", str(device))
    assert data["api_key"] not in str(list(AuditLog.objects.values()))
    agent = APIClient()
    agent.credentials(HTTP_X_DEVICE_ID=data["device_id"], HTTP_X_API_KEY=data["api_key"])
    assert agent.post("/api/v1/agent/check-in", {}).json()["device_status"] == "online"
    device.refresh_from_db()
    assert device.lifecycle_state == LifecycleState.ACTIVE


@pytest.mark.django_db(transaction=True)
def test_a_wrong_key_waits_for_nobody_at_the_site():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one lock for all writers.")
    site = make_site()
    with transaction.atomic():
        Site.objects.select_for_update(no_key=True).get(pk=site.pk)
        refused = partial(provision, site.site_id, "hpe_wrong")
        assert [answer.status_code for answer in run_together(refused)] == [401]


def test_enrolled_gateway_speaks_for_others_once_an_operator_made_it_one(enrolment, operator):
    site, key = enrolment
    till = make_device(site=site)
    data = provision(site.site_id, key, device_type="gateway").json()["data"]
    assert data["device_id"].startswith("gateway-")
    agent = APIClient()
    agent.credentials(HTTP_X_DEVICE_ID=data["device_id"], HTTP_X_API_KEY=data["api_key"])
    both = {"check_ins": [{}, {"device_id": till.device_id}]}
    path = f"/api/v1/devices/devices/{data['device_id']}"

    agent.post("/api/v1/agent/device-dna", {"device_type": "gateway"})
    assert [agent.post("/api/v1/agent/check-ins", both).json()["accepted"] for _ in "12"] == [1, 1]
    assert operator.get(path).json()["device_type"] == "unknown"

    assert operator.patch(path, {"device_type": "gateway"}).status_code == 200
    assert agent.post("/api/v1/agent/check-ins", both).json()["accepted"] == 2

    enrolled, made = AuditLog.objects.filter(device__device_id=data["device_id"]).order_by("id")
    assert (enrolled.event_type, enrolled.event_metadata["told_device_type"]) == (
        "device_enrolled",
        "gateway",
    )
    assert (made.actor_kind, made.new_values) == ("user", {"device_type": "gateway"})


def test_enrolment_is_refused(enrolment):
    site, key = enrolment
    assert provision(site.site_id, "hpe_wrong").status_code == 401
    assert provision("site-none", key).status_code == 404
    assert provision(make_site().site_id, key).status_code == 401
    assert provision(site.site_id, key).status_code == 201
    taken = provision(site.site_id, key)
    assert (taken.status_code, taken.json()["code"]) == (409, "already_exists")
    assert provision(site.site_id, key, device_type="toaster").status_code == 400
    sites.revoke_enrolment_key(site=site, actor=None)
    assert provision(site.site_id, key, device_name="Till 2").status_code == 401
    ended = sites.make_enrolment_key(site=site, actor=None, expires_at=timezone.now())
    assert provision(site.site_id, ended, device_name="Till 2").status_code == 401
    assert Device.objects.filter(site=site).count() == 1


def test_enrolment_is_limited_by_address_so_that_nobody_locks_a_site_out(enrolment, settings):
    site, key = enrolment
    settings.THROTTLE_RATES = {"provision": Rate(limit=2, seconds=3600)}
    answers = [provision(site.site_id, "hpe_wrong") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[-1]["Retry-After"]) > 0
    elsewhere = APIClient(REMOTE_ADDR="192.0.2.9").post(
        "/api/v1/devices/bootstrap-provision",
        {"site_id": site.site_id, "bootstrap_key": key, "device_name": "Till"},
    )
    assert elsewhere.status_code == 201
