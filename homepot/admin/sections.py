"""What the page of one thing is made of, so that apps further up can add to it.

The page of a device belongs to `devices`, which knows nothing of `jobs`. An app that has
something to show there, or a button for it, adds it from the module of its own admin pages:

    sections.add("devices.device", Section("Executions", "jobs/admin/executions.html", show))
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from unfold.enums import ActionVariant

# Where a section stands. What others add comes after what is the page's own.
FIRST, OWN, ADDED, LAST = 0, 10, 20, 30


@dataclass(frozen=True)
class Section:
    """A part of a page: `template` with what `show(request, thing)` returns, None: left out.

    `show` takes a number of statements that does not grow with the rows there are.
    """

    title: str
    template: str
    show: Callable[[HttpRequest, Any], dict[str, Any] | None]
    order: int = ADDED
    # Beside another one where the window is wide enough.
    is_half: bool = False


@dataclass(frozen=True)
class Button:
    """A way from a page to another: `url(request, thing)`, None: not for this reader or thing."""

    title: str
    icon: str
    url: Callable[[HttpRequest, Any], str | None]


@dataclass(frozen=True)
class ShownSection:
    title: str
    template: str
    is_half: bool
    context: dict[str, Any]


class Row(tuple[Any, ...]):
    """The cells of a row of `table_section.html`; by its key it is the same in a later answer."""

    key: str = ""


def keyed(key: object, *cells: Any) -> Row:
    row = Row(cells)
    row.key = str(key)
    return row


_sections: defaultdict[str, list[Section]] = defaultdict(list)
_buttons: defaultdict[str, list[Button]] = defaultdict(list)
_actions: defaultdict[str, list[Callable[..., Any]]] = defaultdict(list)


def add(page: str, section: Section) -> None:
    """Show `section` on the pages of the model `page`, such as "devices.device"."""
    _sections[page].append(section)


def add_button(page: str, button: Button) -> None:
    """Offer `button` on the pages of the model `page`."""
    _buttons[page].append(button)


def add_action(page: str, action: Callable[..., Any]) -> None:
    """Offer `action`, made with `admin.action`, on the list of the model `page`."""
    _actions[page].append(action)


def actions(page: str) -> list[Callable[..., Any]]:
    """What apps further up do to the rows of a list."""
    return _actions[page]


def shown(page: str, request: HttpRequest, thing: Any) -> Iterator[ShownSection]:
    """What the page of `thing` is made of, in order."""
    for section in sorted(_sections[page], key=lambda section: section.order):
        if (context := section.show(request, thing)) is not None:
            yield ShownSection(section.title, section.template, section.is_half, context)


def buttons(page: str, request: HttpRequest, thing: Any) -> Iterator[dict[str, Any]]:
    """The buttons of the page of `thing`, as unfold describes them."""
    for button in _buttons[page]:
        if url := button.url(request, thing):
            yield {
                "title": button.title,
                "icon": button.icon,
                "path": url,
                "attrs": {},
                "variant": ActionVariant.DEFAULT,
            }
