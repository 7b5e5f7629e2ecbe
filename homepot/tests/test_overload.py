"""More requests than the real web server can work on: who is told to come again, and who is not."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import transaction

from devices.models import Device
from devices.tests.factories import make_credential, make_device
from homepot.testing.processes import free_port, serve, wait_until
from jobs.enums import ExecutionStatus
from jobs.tests.factories import execution_of, order_job

pytestmark = pytest.mark.django_db(transaction=True)

WORKING, WAITING, EXTRA = 2, 2, 4
CLIENT_SECONDS = 60


def test_check_ins_are_told_to_come_again_before_anything_else():
    loud, busy = (make_device(device_id=name, name=name) for name in ("loud", "busy"))
    keys = {device: make_credential(device) for device in (loud, busy)}
    execution = execution_of(order_job(busy))
    port = free_port()

    def send(method, path, device=None, body=None):
        server = http.client.HTTPConnection("127.0.0.1", port, timeout=CLIENT_SECONDS)
        headers = {"X-Device-ID": device.device_id, "X-API-Key": keys[device]} if device else {}
        content = None if body is None else json.dumps(body)
        server.request(method, path, content, headers | {"Content-Type": "application/json"})
        answer = server.getresponse()
        answer.body = answer.read()
        server.close()
        return answer

    def check_in():
        return send("POST", "/api/v1/agent/check-in", loud, {"is_healthy": True})

    options = {"DEVICES__MAX_WAITING_CHECK_INS": str(WAITING)}
    arguments = ("--workers", "1", "--threads", str(WORKING))
    sent = WORKING + WAITING + EXTRA
    with serve(port, *arguments, **options), ThreadPoolExecutor(sent + 2) as threads:
        assert json.loads(send("GET", "/api/v1/devices/pending", busy).body)
        with transaction.atomic():
            # No check-in of this device ends before this block does.
            list(Device.objects.select_for_update().filter(pk=loud.pk))
            check_ins = [threads.submit(check_in) for _ in range(sent)]

            def refused():
                answers = [each.result() for each in check_ins if each.done()]
                return [answer for answer in answers if b'"busy"' in answer.body]

            wait_until(refused)
            page = threads.submit(send, "GET", "/admin/login/")
            outcome = threads.submit(
                *(send, "PUT", f"/api/v1/devices/{execution.execution_id}/status", busy),
                {"status": "completed"},
            )
            assert send("GET", "/livez").status == 200
        assert (page.result().status, outcome.result().status) == (200, 200)
    answer = refused()[0]
    assert answer.status == 503
    assert answer.getheader("Content-Type") == "application/problem+json"
    assert json.loads(answer.body)["code"] == "busy"
    assert 1 <= int(answer.getheader("Retry-After")) <= settings.CHECK_IN_SECONDS / 2 + 1
    execution.refresh_from_db()
    assert execution.status == ExecutionStatus.COMPLETED
