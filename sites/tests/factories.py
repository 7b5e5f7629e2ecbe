"""Valid sites, saved directly."""

from __future__ import annotations

from itertools import count
from typing import Any

from sites.models import Site

# Above the numbers of the demo's sites.
numbers = count(1001)


def make_site(**fields: Any) -> Site:
    number = next(numbers)
    return Site.objects.create(**{"site_id": f"site-{number}", "name": f"Store {number}"} | fields)
