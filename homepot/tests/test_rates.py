from __future__ import annotations

import pytest

from homepot.rates import Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("", None),
        (" ", None),
        ("5/hour", Rate(limit=5, seconds=3600)),
        (" 20/minute ", Rate(limit=20, seconds=60)),
        ("1/second", Rate(limit=1, seconds=1)),
        ("1000/day", Rate(limit=1000, seconds=86_400)),
    ],
)
def test_rates_are_read(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["5", "5/h", "0/hour", "-1/hour", "five/hour", "5/hours", "5/"])
def test_odd_rates_are_refused_by_name(text):
    with pytest.raises(ValueError, match="no rate"):
        parse_rate(text)
