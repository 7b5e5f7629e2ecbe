"""How often something may be done: `5/hour`."""

from __future__ import annotations

import re
from dataclasses import dataclass

SECONDS_BY_UNIT = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
RATE = re.compile(rf"([1-9][0-9]{{0,5}})/({'|'.join(SECONDS_BY_UNIT)})")


@dataclass(frozen=True)
class Rate:
    limit: int
    seconds: int


def parse_rate(text: str) -> Rate | None:
    """Read `5/hour` or `20/minute`; None, which is no limit, for an empty text.

    Raises ValueError for anything else.
    """
    text = text.strip()
    if not text:
        return None
    match = RATE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text[:50]!r} is no rate. Write a number and second, minute, hour or day, "
            "such as 5/hour; leave it empty for no limit."
        )
    return Rate(limit=int(match[1]), seconds=SECONDS_BY_UNIT[match[2]])
