from __future__ import annotations

from datetime import datetime

import pytest

from jobs.schedule import site_time


@pytest.mark.parametrize(
    ("wall_time", "timezone_name", "expected"),
    [
        ("2026-01-31T03:00", "UTC", "2026-01-31T03:00:00+00:00"),
        ("2026-01-31T03:00", "Europe/Berlin", "2026-01-31T02:00:00+00:00"),
        ("2026-07-31T03:00", "Europe/Berlin", "2026-07-31T01:00:00+00:00"),
        # Clocks go from 02:00 to 03:00, the first minute that is shown after 01:59.
        ("2026-03-29T02:00", "Europe/Berlin", "2026-03-29T01:00:00+00:00"),
        ("2026-03-29T02:30:30", "Europe/Berlin", "2026-03-29T01:00:00+00:00"),
        ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00:00+00:00"),
        # Clocks go back from 03:00 to 02:00: the first of two.
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25T03:00", "Europe/Berlin", "2026-10-25T02:00:00+00:00"),
        # Half an hour forward.
        ("2026-10-04T02:10", "Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),
        # A day that never was.
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00:00+00:00"),
    ],
)
def test_site_time(wall_time, timezone_name, expected):
    moment = site_time(datetime.fromisoformat(wall_time), timezone_name)
    assert moment.isoformat() == expected
