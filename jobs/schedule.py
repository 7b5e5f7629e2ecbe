"""Times on the clock of a site."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def site_time(wall_time: datetime, timezone_name: str) -> datetime:
    """When the clock of a site in `timezone_name` shows `wall_time`, which is naive; in UTC.

    When clocks go forward some times are never shown: the next minute that is shown counts.
    When they go back some are shown twice: the first counts.
    """
    zone = ZoneInfo(timezone_name)
    while True:
        moment = wall_time.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == wall_time:
            return moment
        wall_time = wall_time.replace(second=0, microsecond=0) + MINUTE
