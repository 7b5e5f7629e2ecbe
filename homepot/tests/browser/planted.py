"""A fleet whose devices, and whoever else speaks with the service, mean harm by what they say."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from devices.agent.transport import Transport
from devices.models import Device
from homepot.models import DataImport
from jobs.models import Job
from jobs.tests.factories import execution_of, order_job
from sites import services as sites
from sites.models import Site
from sites.tests.factories import make_site

# What a page would run that took it for more than text, here as a formula of a spreadsheet.
SCRIPT = '"><script>pwned()</script><img src=/pwned onerror=pwned()><svg onload=pwned()>'
# Turns what follows around, and opens what is never closed.
BIDI = "\u202egnp.exe\u2066"
FORMULA = '=HYPERLINK("http://pwned.example","x")'
LONG = f"{FORMULA} {SCRIPT} {BIDI}"
SHORT = f'+1"><svg onload=pwned()>{BIDI}'
# Names hold no marks of direction but these.
NAME = f"@{SCRIPT}"
HEADER = f"-1{SCRIPT}"
DATA = {LONG: [LONG, {SHORT: SHORT}], "cpu_usage": LONG, "memory_usage": 50, "disk_usage": -1}
PLANTED = (LONG, SHORT, NAME, HEADER)


class Speaker:
    """A device that says `Speaker.tell`, once it has let itself in."""

    def __init__(self, server: str, site: Site, **told: Any) -> None:
        self._transport = Transport(server)
        self._headers = {"User-Agent": HEADER}
        answer = self.tell(
            "/devices/bootstrap-provision",
            site_id=site.site_id,
            bootstrap_key=sites.make_enrolment_key(site=site, actor=None),
            **told,
        )
        device_id = answer["data"]["device_id"]
        self._headers |= {"X-Device-ID": device_id, "X-API-Key": answer["data"]["api_key"]}
        self.device_id = device_id

    @property
    def device(self) -> Device:
        return Device.objects.get(device_id=self.device_id)

    def tell(self, path: str, **body: Any) -> dict[str, Any]:
        return self._transport.send("POST", path, body, self._headers)

    def close(self) -> None:
        self._transport.close()


def plant(server: str, actor: User) -> Job:
    """Have everything said that devices and callers can say; returns the job of it all."""
    site = make_site(name=NAME, description=LONG, location=LONG)
    speaker = Speaker(
        server,
        site,
        device_name=NAME,
        device_type="pos_terminal",
        os_details=DATA,
        provisioning_source=SHORT,
    )
    tell = speaker.tell
    tell(
        "/agent/device-dna",
        os_details=DATA,
        peripherals=[DATA],
        firmware_version=SHORT,
        mac_address="00:1a:2b:3c:4d:5e",
        local_ip="10.0.0.1",
    )
    check = {
        "endpoint": LONG,
        "response_data": DATA,
        "error_message": LONG,
        "firmware_version": SHORT,
        "config_version": SHORT,
        "response_time_ms": 5,
        "status_code": 503,
    }
    tell("/agent/check-in", is_healthy=True, **check)
    for path in ("logs", "audit", "alert", "config-history"):
        event = {"event_type": LONG, "severity": SHORT[:20], "message": LONG, "extra": DATA}
        tell(f"/agent/{path}", **event)
    task = {"status": "failed", "result": DATA, "error_message": LONG, "error_code": SHORT}
    tell("/agent/jobs", action=LONG, payload=DATA, **task)
    job = order_job(speaker.device, actor=actor, description=LONG, payload=DATA, collapse_key=SHORT)
    tell("/agent/check-in", is_healthy=False, **check)
    command = execution_of(job).execution_id
    tell(f"/devices/{command}/status", **task)
    speaker.close()
    sign_in_badly(SHORT)
    sign_in_badly(actor.username)
    return job


def sign_in_badly(username: str) -> None:
    """Leave a name and a browser in the records of failed sign-ins."""
    form = {"username": username, "password": LONG}
    Client(headers={"user-agent": HEADER}).post("/admin/login/", form)


def upload(user: User, model: str) -> int:
    """Have `user` upload a file that means harm, "sites/site" or "devices/device"; its import."""
    browser = Client()
    browser.force_login(user)
    columns = "device_id,site_id,name" if model == "devices/device" else "site_id,name,location"
    cell = LONG.replace('"', '""')
    file = f'{columns}\n"{cell}","{cell}","{cell}"\n'.encode()
    path = f"/admin/{model}/import/"
    answer = browser.post(path, {"file": SimpleUploadedFile(f"{NAME[:60]}.csv", file)})
    assert answer.status_code == 302
    return DataImport.objects.latest("pk").pk
