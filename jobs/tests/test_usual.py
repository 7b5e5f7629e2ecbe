"""Usual jobs are told as by the serializer, and nothing that it refuses is one."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework.exceptions import ValidationError

from homepot.text import MAX_TEXT_LENGTH
from jobs.enums import JobAction
from jobs.serializers import MAX_PAYLOAD_BYTES, SiteJobSerializer
from jobs.targets import Target
from jobs.usual import usual_job
from sites.models import Site

SITE = Site(pk=1, site_id="shop-1")
USUAL: list[Any] = [
    {"action": "ping"},
    {"action": "status_request", "description": ""},
    {"action": "health_check", "description": "Käse \n " + "x" * (MAX_TEXT_LENGTH - 7)},
    {"payload": {}, "action": "request_permission", "priority": "low"},
    {"action": "ping", "payload": {"a": [1, None, {"b": 1e-7}]}, "priority": "critical"},
    {"action": "ping", "payload": {"a": "x" * (MAX_PAYLOAD_BYTES - 8)}},
]
UNUSUAL: list[Any] = [
    {"action": "ping", "segment": "all"},
    {"action": "ping", "ttl_seconds": 60},
    {"action": "ping", "site_id": "shop-1"},
    {"action": "ping", "description": " x "},
    {"action": "ping", "description": 7},
    {"action": "restart"},
    {"action": "update_config", "payload": {"a": 1}},
]
REFUSED: list[Any] = [
    {},
    [],
    None,
    "ping",
    {"action": None},
    {"action": ["ping"]},
    {"action": "Ping"},
    {"action": "device_task"},
    {"action": "ping", "description": None},
    {"action": "ping", "description": "x" * (MAX_TEXT_LENGTH + 1)},
    {"action": "ping", "payload": []},
    {"action": "ping", "payload": None},
    {"action": "ping", "payload": {"a": "x" * (MAX_PAYLOAD_BYTES - 7)}},
    {"action": "ping", "priority": 20},
    {"action": "ping", "priority": None},
    {"action": "ping", "priority": "urgent"},
    {"action": "ping", "segmnt": "all"},
]


def serialized(data: Any) -> dict[str, Any]:
    context = {"site": SITE, "request": SimpleNamespace(user=None)}
    serializer = SiteJobSerializer(data=data, context=context)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


@pytest.mark.parametrize("data", USUAL)
def test_usual_job_is_what_the_serializer_makes_of_it(data):
    fields = usual_job(copy.deepcopy(data))
    assert fields is not None
    assert {**fields, "target": Target(site=SITE)} == serialized(data)


@pytest.mark.parametrize("data", UNUSUAL)
def test_what_takes_more_is_left_to_the_serializer(data):
    assert usual_job(data) is None
    serialized(data)


@pytest.mark.parametrize("data", REFUSED)
def test_what_is_refused_is_not_usual(data):
    assert usual_job(data) is None
    with pytest.raises(ValidationError):
        serialized(data)


def test_every_action_was_looked_at():
    usual = {action for action in JobAction if usual_job({"action": action.value})}
    assert usual == {"ping", "status_request", "health_check", "request_permission"}
