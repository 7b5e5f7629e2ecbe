"""The admin's first page: how everything is right now, kept up to date while it is open.

Apps add what they know, from the modules of their admin pages: tiles here, and sections as to any
other page, under the name PAGE. Opening it takes ten statements, whatever the fleet's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from homepot.admin import sections
from homepot.read_only import is_read_only
from homepot.sweeps import SweepState, sweep_states

PAGE = "overview"
REFRESH_SECONDS = 15


@dataclass(frozen=True)
class Tile:
    """A number that leads to what was counted. `style` is a class of the stylesheet."""

    title: str
    count: str
    url: str
    style: str
    # The name of a symbol: a shape tells what a colour alone cannot.
    symbol: str


_tiles: list[tuple[int, Callable[[HttpRequest], Iterable[Tile]]]] = []


def add_tiles(show: Callable[[HttpRequest], Iterable[Tile]], order: int = sections.ADDED) -> None:
    _tiles.append((order, show))


def add_overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to `context` what the page is made of."""
    now = timezone.now()
    context["tiles"] = [
        tile for _, show in sorted(_tiles, key=lambda entry: entry[0]) for tile in show(request)
    ]
    context["sections"] = list(sections.shown(PAGE, request, None))
    context["service"] = _service(sweep_states(now))
    context["now"] = now
    context["overview_url"] = reverse("admin:overview")
    context["refresh_seconds"] = REFRESH_SECONDS
    return context


def _service(states: list[SweepState]) -> dict[str, Any]:
    """Whether a worker does its work; one statement was asked for it."""
    overdue = [state for state in states if state.is_overdue]
    return {
        "is_away": len(overdue) == len(states),
        "is_read_only": is_read_only(),
        "overdue": [_sweep_name(state) for state in overdue],
        "sweeps": [
            {
                "name": _sweep_name(state),
                "is_overdue": state.is_overdue,
                "ago": "never"
                if state.age_seconds is None
                else f"{max(state.age_seconds, 0):,.0f} s ago",
                "every": f"{state.interval_seconds:,.0f} s",
                "took": "-" if state.duration_ms is None else f"{state.duration_ms:,} ms",
                "error": state.last_error,
            }
            for state in states
        ],
    }


def _sweep_name(state: SweepState) -> str:
    return state.name.rpartition(".")[2].replace("_", " ").capitalize()
