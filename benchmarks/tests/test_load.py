"""The load test against a server that refuses as ours does, but at once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks.fleet import Fleet
from benchmarks.load import phases
from benchmarks.load.__main__ import best_second, judge, table
from benchmarks.load.chart import svg
from benchmarks.load.phases import CHECK_INS, KINDS, OUTCOMES, PAGES, Phase, Traffic
from benchmarks.load.samples import Sample
from benchmarks.load.traffic import Answer, Lines
from benchmarks.requests import Request

FLEET = Fleet(sites=4, devices=40, checks=0, audit_rows=0, api_key="key")


def test_herd_comes_again_until_all_are_in(server, monkeypatch):
    monkeypatch.setattr(phases, "COME_AGAIN_SECONDS", (0, 0.01))
    server.refusals = 15
    traffic = Traffic(server.url, "shop.example", FLEET, [Request("PUT", "/outcome")])
    phase = asyncio.run(traffic.herd())
    assert phase.notes[0].startswith("40 of 40 devices were in after")
    statuses = [answer.status for answer in phase.answers[CHECK_INS]]
    assert (statuses.count(503), statuses.count(200)) == (15, 40)
    assert best_second(phase) >= 1
    assert {path for _, path, *_ in server.seen} == {
        "/api/v1/agent/check-in",
        "/api/v1/devices/devices?limit=50",
        "/outcome",
    }


def test_request_without_an_answer_is_counted(server):
    async def run():
        lines = Lines(server.url, most=1, began=time.perf_counter())
        for path in ("/gone", "/there", "/gone"):
            lines.send(Request("GET", path).spelled("shop.example"))
        nobody = Lines("http://127.0.0.1:1", most=1, began=time.perf_counter())
        nobody.send(b"")
        while lines.unanswered or nobody.unanswered:
            await asyncio.sleep(0.01)
        lines.close()
        return [answer.status for answer in lines.answers + nobody.answers]

    assert asyncio.run(run()) == [None, 200, None, None]


STEADY = Phase(
    "steady",
    began_at=0,
    ended_at=2,
    answers={kind: [Answer(0.5, 0.01, 200), Answer(1.5, 0.02, 200)] for kind in KINDS},
    unanswered=dict.fromkeys(KINDS, 0),
)
SAMPLES = [Sample(at / 10, 100 + at, 10, 1) for at in range(20)]


@pytest.mark.parametrize(
    ("kind", "status", "broken"),
    [
        (CHECK_INS, 503, ["steady: no check-in was refused"]),
        (OUTCOMES, 503, ["steady: no outcome and no page was refused"]),
        (PAGES, 500, ["steady: nothing failed, nothing stayed without an answer"]),
        (CHECK_INS, None, ["steady: nothing failed, nothing stayed without an answer"]),
    ],
)
def test_broken_promise_is_told(kind, status, broken):
    assert all(is_kept for _, is_kept in judge([STEADY], SAMPLES, None))
    answers = STEADY.answers | {kind: [Answer(0.5, 0.01, status)]}
    told = judge([replace(STEADY, answers=answers)], SAMPLES, None)
    assert [text for text, is_kept in told if not is_kept] == broken


def test_memory_may_not_grow():
    (*_, (text, is_kept)) = judge([STEADY], SAMPLES, minutes=10)
    assert not is_kept
    assert "1.156 of that after a tenth of the time (102 MB)" in text


def test_course_is_drawn_and_told():
    overload = replace(STEADY, name="<overload>", began_at=2, ended_at=4)
    drawing = ElementTree.fromstring(svg([STEADY, overload], SAMPLES))
    texts = {element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")}
    assert {"steady", "<overload>", "told to come again", "busy", *KINDS} <= texts
    assert table([STEADY]).splitlines()[1].split()[:3] == ["steady", "check-ins", "1.0"]
