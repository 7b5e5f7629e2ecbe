from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homepot.admin.charts import tenths_of_a_percent


@pytest.mark.parametrize(
    ("parts", "shares"),
    [
        ([], []),
        ([0, 0], [0.0, 0.0]),
        ([7], [100.0]),
        # Each rounded for itself they were 100.1 and 99.9.
        ([6665, 3335, 0], [66.7, 33.3, 0.0]),
        ([1, 1, 1], [33.4, 33.3, 33.3]),
    ],
)
def test_shares_are_rounded_to_tenths(parts, shares):
    assert tenths_of_a_percent(parts) == shares


@given(st.lists(st.integers(0, 10**9), min_size=1).filter(any))
def test_shares_are_100_together_and_no_tenth_off(parts):
    shares = tenths_of_a_percent(parts)
    assert round(sum(shares), 6) == 100
    for part, share in zip(parts, shares, strict=True):
        assert abs(share - 100 * part / sum(parts)) < 0.1 + 1e-6
