"""That what is measured is what the API answers, whatever becomes of the API."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client

from benchmarks.filling import fill
from benchmarks.fleet import Fleet
from benchmarks.growth import NAMES
from benchmarks.run import chosen
from benchmarks.scenarios import SCENARIOS


@pytest.mark.django_db
def test_every_scenario_is_answered_well():
    if connection.vendor != "postgresql":
        pytest.skip("fleets are filled by PostgreSQL's COPY")
    fleet = fill(Fleet(sites=4, devices=120, checks=60, audit_rows=60))
    refused = {}
    for scenario in SCENARIOS:
        for request in scenario.requests(fleet)[:2]:
            answer = Client().generic(
                request.method,
                request.path,
                request.spelled("testserver").partition(b"\r\n\r\n")[2],
                content_type="application/json",
                headers=request.headers,
            )
            if answer.status_code >= 300 or b'"rejected":[{' in answer.content:
                refused[scenario.name] = answer.content
    assert refused == {}


def test_only_takes_along_what_a_scenario_stands_beside():
    names = [scenario.name for scenario in chosen(["batch"], SCENARIOS)]
    assert names == ["check-in", "batch of 100 check-ins"]
    assert chosen([], SCENARIOS) == SCENARIOS
    assert len(chosen(list(NAMES), SCENARIOS)) == len(NAMES)
