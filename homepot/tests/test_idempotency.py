"""A request that is sent again has its effect once; tried with jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.enums import Role
from devices.services import retire_device
from devices.tests.factories import make_device
from homepot.idempotency import forget_old_keys
from homepot.models import IdempotencyKey
from jobs.models import Job

pytestmark = pytest.mark.django_db

JOBS = "/api/v1/jobs/jobs"


def send(api: Any, key: str, device_id: str, **fields: Any) -> Any:
    body = {"action": "ping", "device_ids": [device_id], **fields}
    return api.post(JOBS, body, headers={"Idempotency-Key": key})


def test_same_request_is_answered_as_before(operator):
    device = make_device()
    first = send(operator, "k-1", device.device_id)
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first
    retire_device(device=device, actor=None)

    again = send(operator, "k-1", device.device_id)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again["Idempotency-Replayed"] == "true"
    assert Job.objects.count() == 1


def test_other_request_with_the_same_key_is_refused(operator):
    device = make_device()
    send(operator, "k-1", device.device_id)
    other = send(operator, "k-1", device.device_id, priority="low")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Job.objects.count() == 1


def test_keys_are_their_senders_own(operator, api_as):
    device = make_device()
    send(operator, "k-1", device.device_id)
    assert send(api_as(Role.ADMIN), "k-1", device.device_id).status_code == 201
    assert Job.objects.count() == 2


def test_refused_request_leaves_its_key_free(operator):
    assert send(operator, "k-1", "nowhere").status_code == 400
    device = make_device(device_id="nowhere")
    assert send(operator, "k-1", device.device_id).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
def test_bad_key(operator, key):
    answer = send(operator, key, make_device().device_id)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["Idempotency-Key"]


@pytest.mark.parametrize("is_swept", [False, True])
def test_key_is_forgotten_after_a_day(operator, is_swept):
    device = make_device()
    send(operator, "k-1", device.device_id)
    now = timezone.now()
    IdempotencyKey.objects.update(created_at=now - timedelta(hours=24))
    if is_swept:
        assert forget_old_keys(now) == 1
    assert send(operator, "k-1", device.device_id).status_code == 201
    assert Job.objects.count() == 2
