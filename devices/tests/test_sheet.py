from __future__ import annotations

import pytest

from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership, User
from accounts.tests.factories import make_user
from audit.models import AuditLog
from devices import services
from devices.enums import DeviceType, LifecycleState
from devices.models import Device
from devices.tests.factories import make_device
from homepot.testing.imports import apply, lines_of, read_text, verdicts
from sites.models import Site
from sites.tests.factories import make_site

TYPES = ", ".join(DeviceType.values)
pytestmark = pytest.mark.django_db

HEAD = "device_id,site_id,name,device_type,ip_address,mac_address,config"


@pytest.fixture
def operator() -> User:
    return make_user(role=Role.OPERATOR)


@pytest.fixture
def till() -> Device:
    site = make_site(site_id="s-1")
    make_device(site=site, device_id="d-2", name="Till 2")
    make_device(site=site, device_id="d-old", lifecycle_state=LifecycleState.RETIRED, name="Free")
    make_site(site_id="s-2")
    make_site(site_id="s-old", is_active=False)
    return make_device(
        site=site,
        device_id="d-1",
        name="Till 1",
        ip_address="10.0.0.1",
        mac_address="00:1a:2b:3c:4d:5e",
        config={"gateway": {"port": 1.0}, "on": True},
    )


SAME = '10.0.0.1,00-1A-2B-3C-4D-5E,"{""on"": true, ""gateway"": {""port"": 1.0}}"'
LINES = [
    ("d-3,s-1,Till 3,kiosk,,,", "create", ""),
    (",s-2,Till 1,,,,", "create", ""),
    ("d-3,s-1,Free,,,,", "create", ""),
    (f"d-1,s-1,Till 1,pos_terminal,{SAME}", "unchanged", ""),
    (f"d-1,,,,{SAME}", "unchanged", ""),
    (f"d-1,,Till 9,,{SAME}", "update", ""),
    ('d-1,,,,10.0.0.1,00:1a:2b:3c:4d:5e,"{""on"": 1, ""gateway"": {""port"": 1.0}}"', "update", ""),
    ("d-1,,,,,,", "update", ""),
    ("d-1,s-2,,,,,", "refused", "It stands at s-1: transfer it to move it."),
    ("d-old,,New name,,,,", "refused", "It is retired"),
    ("d-1,,Till 2,,,,", "refused", "The site has another device named 'Till 2'."),
    ("d-3,s-1,Till 2,,,,", "refused", "The site has another device named 'Till 2'."),
    ("d-3,s-9,Till 3,,,,", "refused", "There is no site s-9, or it is not one of yours."),
    ("d-3,s-old,Till 3,,,,", "refused", "Site s-old is retired."),
    ("d-3,,Till 3,,,,", "refused", "site_id: Say at which site"),
    ("d-3,s-1,Till 3,toaster,,,", "refused", f'device_type: "toaster" is none of {TYPES}.'),
    ("d-3,s-1,Till 3,,10.0.0.256,,", "refused", "ip_address: Enter a valid IPv4"),
    ("d-3,s-1,Till 3,,,1234,", "refused", "mac_address: Write a MAC address as"),
    ("d-3,s-1,Till 3,,,,[1]", "refused", "config: Write a JSON object"),
    ("d-3,s-1,Till 3,,,,{a: 1}", "refused", "config: It is not JSON"),
]


@pytest.mark.parametrize(("line", "verdict", "message"), LINES)
def test_verdict_of_a_line(operator, till, line, verdict, message):
    ((found, told),) = verdicts(read_text("devices", f"{HEAD}\n{line}\n", operator))

    assert (found, told[: len(message)]) == (verdict, message)
    assert bool(told) == bool(message)


def test_names_are_told_apart_within_the_file(operator, till):
    text = (
        "device_id,site_id,name\n"
        "d-3,s-1,Till 3\n"
        "d-4,s-1,Till 3\n"
        "d-5,s-2,Till 3\n"
        "d-3,s-1,Till 4\n"
        "d-1,s-1,Till 6\n"
        "d-7,s-1,Till 1\n"
        "d-2,s-1,Till 1\n"
    )
    data_import = read_text("devices", text, operator)

    assert verdicts(data_import) == [
        ("create", ""),
        ("refused", "Line 2 gives the name 'Till 3' at the same site."),
        ("create", ""),
        ("refused", "Line 2 is about d-3 too."),
        ("update", ""),
        ("create", ""),
        ("refused", "Line 7 gives the name 'Till 1' at the same site."),
    ]
    apply(data_import)
    names = Device.objects.exclude(device_id="d-old").order_by("device_id")
    assert list(names.values_list("device_id", "name")) == [
        ("d-1", "Till 6"),
        ("d-2", "Till 2"),
        ("d-3", "Till 3"),
        ("d-5", "Till 3"),
        ("d-7", "Till 1"),
    ]


def test_import_changes_what_the_preview_said(operator, till):
    text = (
        f'{HEAD}\nd-1,,,,,00:1a:2b:3c:4d:5f,"{{""key"": ""=1""}}"\n'
        ",s-2,Séchoir,iot_sensor,2001:DB8::1,,\n"
    )
    data_import = apply(read_text("devices", text, operator))

    till.refresh_from_db()
    assert (till.name, till.ip_address, till.mac_address) == ("Till 1", None, "00:1a:2b:3c:4d:5f")
    assert till.config == {"key": "=1"}
    new = Device.objects.get(name="Séchoir")
    assert new.device_id == lines_of(data_import)[1].key
    assert new.device_id.startswith("iot-sensor-")
    assert (new.site.site_id, new.ip_address, new.config) == ("s-2", "2001:db8::1", {})
    assert (new.lifecycle_state, new.status) == (LifecycleState.PENDING, "unknown")
    created = AuditLog.objects.get(event_type="device_created")
    assert (created.device_id, created.site_id) == (new.pk, new.site_id)
    assert created.new_values == {
        "name": "Séchoir",
        "device_type": "iot_sensor",
        "ip_address": "2001:db8::1",
        "mac_address": "",
        "config": {},
    }
    updated = AuditLog.objects.get(event_type="device_updated")
    assert updated.old_values == {
        "ip_address": "10.0.0.1",
        "mac_address": "00:1a:2b:3c:4d:5e",
        "config": {"gateway": {"port": 1.0}, "on": True},
    }


def test_line_is_left_out_when_others_were_faster(operator, till):
    text = (
        f"{HEAD}\nd-1,,Till 9,,10.0.0.1,00:1a:2b:3c:4d:5e,\n"
        "d-2,,Till 8,,,,\n"
        "d-3,s-1,Till 3,,,,\n"
        "d-4,s-1,Till 4,,,,\n"
        "d-5,s-2,Till 5,,,,\n"
        "d-6,s-1,Till 6,,,,\n"
    )
    data_import = read_text("devices", text, operator)
    services.update_device(device=till, actor=None, name="Till of theirs")
    services.update_device(device=Device.objects.get(device_id="d-2"), actor=None, name="Till 8")
    make_device(device_id="d-3")
    make_device(site=till.site, device_id="d-x", name="Till 4")
    Site.objects.filter(site_id="s-2").update(is_active=False)

    apply(data_import)

    assert [(line.outcome, line.message) for line in lines_of(data_import)] == [
        ("refused", "It was changed meanwhile: import the file again."),
        ("unchanged", ""),
        ("refused", "The device id d-3 is taken meanwhile."),
        ("refused", "d-x has the name 'Till 4' meanwhile."),
        ("refused", "The site was retired meanwhile, or is not yours."),
        ("created", ""),
    ]
    assert (data_import.created, data_import.already, data_import.failed) == (1, 1, 4)


def test_scoped_operator_touches_no_devices_of_others(till):
    user = make_user(role=Role.OPERATOR, site_access=SiteAccess.SELECTED)
    theirs = make_device(device_id="theirs", name="Theirs")
    SiteMembership.objects.create(user=user, site=till.site)
    text = f"device_id,site_id,name\nd-1,,Mine\ntheirs,,Mine\nd-3,{theirs.site.site_id},New\n"

    data_import = read_text("devices", text, user)

    assert verdicts(data_import) == [
        ("update", ""),
        ("refused", "The device id theirs is taken; choose another."),
        ("refused", f"There is no site {theirs.site.site_id}, or it is not one of yours."),
    ]


def test_every_type_can_be_imported(operator, till):
    lines = "".join(f",s-2,{name},{name}\n" for name in DeviceType.values)
    data_import = apply(
        read_text("devices", f"device_id,site_id,name,device_type\n{lines}", operator)
    )
    assert data_import.created == len(DeviceType.values)
    found = Device.objects.filter(site__site_id="s-2").values_list("name", "device_type")
    assert dict(found) == {name: name for name in DeviceType.values}
