"""What is made of the figures, and what is said of files that cannot be used."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.growth import growths
from benchmarks.measure import PeerResult, Result, Turns
from benchmarks.once import Figure
from benchmarks.peers import PeerError, read_peers
from benchmarks.report import EarlierRunError, figures, ratios_of, table
from benchmarks.requests import Request

RESULT = Result(
    scenario="check-in",
    rate=2000.0,
    p50_ms=8.0,
    p99_ms=20.0,
    server_us=400.0,
    database_us=300.0,
    bare_rate=10_000.0,
    bare_us=100.0,
    refused=0,
    unanswered=0,
    ratio=0.2,
    cpu_ratio=4.0,
    rate_budget=0.17,
    cpu_budget=4.0,
    beside="bare",
)


@pytest.mark.parametrize(
    ("ratio", "cpu_ratio", "is_met"), [(0.17, 4.0, True), (0.16, 4.0, False), (0.17, 4.1, False)]
)
def test_budget_is_met_when_rate_and_cpu_are(ratio, cpu_ratio, is_met):
    assert replace(RESULT, ratio=ratio, cpu_ratio=cpu_ratio).is_met is is_met
    assert replace(RESULT, rate_budget=None, cpu_budget=None).is_met is None


def test_table_tells_losses_peers_and_what_was_before():
    peer = PeerResult("other", 500.0, 1.0, 2.0, 0, 3, 4.0)
    heading, ours, lost, theirs, theirs_lost = table(
        [replace(RESULT, refused=7, peers=[peer])], {"check-in": 0.15}
    ).splitlines()
    assert heading.split()[-3:] == ["budget", "met", "before"]
    assert ours.split()[-4:] == [">=0.17", "CPU<=4", "yes", "0.150"]
    assert lost.strip() == "7 refused, 0 unanswered"
    assert theirs.split() == ["other", "500", "1.0", "2.0", "4.000", "ours/its"]
    assert theirs_lost.strip() == "0 refused, 3 unanswered"


def test_figure_above_its_budget_is_not_met():
    assert figures([Figure("start", 1.6, "s", 1.5)]).split()[-2:] == ["<=1.5", "NO"]


def test_growth_is_what_a_request_costs_beside_the_smallest_fleet():
    small, large = Turns(requests=1000, seconds=2), Turns(requests=800, seconds=2)
    assert [growth.ratio for growth in growths("check-in", [1, 9], [small, large])] == [1.0, 1.25]


def test_results_are_read_again(tmp_path):
    file = tmp_path / "before.json"
    file.write_text(json.dumps({"results": [RESULT.as_json()]}))
    assert ratios_of(file) == {"check-in": 0.2}
    for content in ("{}", "[]", "no JSON"):
        file.write_text(content)
        with pytest.raises(EarlierRunError, match="holds no results"):
            ratios_of(file)
    with pytest.raises(EarlierRunError, match="cannot be read"):
        ratios_of(tmp_path / "missing")


def test_peer_is_read_from_its_file(tmp_path):
    file = tmp_path / "peer.json"
    request = {"method": "POST", "path": "/in", "headers": {"B": "2"}, "body": {"ok": True}}
    told = {"headers": {"A": "1"}, "scenarios": {"check-in": [request, {"path": "/"}]}}
    file.write_text(json.dumps(told))
    [peer] = read_peers(["other=http://127.0.0.1:9/base/"], [file], ["check-in"])
    assert (peer.name, peer.url) == ("other", "http://127.0.0.1:9")
    assert peer.requests["check-in"] == [
        Request("POST", "/base/in", {"A": "1", "B": "2"}, {"ok": True}),
        Request("GET", "/base/", {"A": "1"}),
    ]


@pytest.mark.parametrize(
    ("beside", "content", "words"),
    [
        ("http://127.0.0.1", '{"scenarios": {}}', "say it as name="),
        ("other=https://127.0.0.1", '{"scenarios": {}}', "say it as name="),
        ("other=http://h", "no JSON", "is not as"),
        ("other=http://h", "[]", "is not as"),
        ("other=http://h", '{"scenarios": {"check-in": [{"path": "x"}]}}', "does not begin with /"),
        ("other=http://h", '{"scenarios": {"check-in": [{"path": "/", "x": 1}]}}', "unknown: x"),
        ("other=http://h", '{"scenarios": {"check-in": []}}', "has no requests"),
        ("other=http://h", '{"scenarios": {"ping": [{"path": "/"}]}}', "'ping' is no scenario"),
    ],
)
def test_unusable_peer_is_refused(tmp_path, beside, content, words):
    file = tmp_path / "peer.json"
    file.write_text(content)
    with pytest.raises(PeerError, match=words):
        read_peers([beside], [file], ["check-in"])


def test_each_peer_has_a_file(tmp_path):
    with pytest.raises(PeerError, match="its own --scenario"):
        read_peers(["other=http://h"], [], ["check-in"])
    with pytest.raises(PeerError, match="cannot be read"):
        read_peers(["other=http://h"], [tmp_path / "missing"], ["check-in"])
