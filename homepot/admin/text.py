"""Values as the admin's pages show them: whatever somebody wrote comes out as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.timezone import localtime

from homepot.text import DIRECTIONS

NOTHING = SafeString("-")
# The names that pages use for colours; grey is what has no name.
COLOURS = frozenset({"success", "warning", "danger", "info", "primary"})


def json_text(value: Any) -> SafeString:
    """A JSON value, indented, as text."""
    if value in (None, {}, []):
        return NOTHING
    text = json.dumps(value, indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)
    # They would turn around the rest of their line; JSON has another way to write them.
    text = DIRECTIONS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return format_html('<pre class="homepot-json" tabindex="0">{}</pre>', text)


def label(text: str, colours: Mapping[str, str], icon: str = "") -> SafeString:
    """A word on the colour that `colours` holds for it, grey without one.

    `icon` is the name of a symbol before it: a shape tells what a colour alone cannot.
    """
    colour = colours.get(text, "")
    shape = symbol(icon) if icon else ""
    kind = f" homepot-label-{colour}" if colour in COLOURS else ""
    return format_html('<span class="homepot-label{}">{}{}</span>', kind, shape, text)


def symbol(name: str) -> SafeString:
    """A symbol that means nothing to a reader of the page's text."""
    return format_html(
        '<span class="material-symbols-outlined homepot-symbol" aria-hidden="true">{}</span>', name
    )


def two_lines(first: Any, second: Any) -> SafeString:
    """What something is called, and below it, smaller, what else tells it apart."""
    if second in (None, ""):
        return format_html('<span class="homepot-two"><strong>{}</strong></span>', first)
    return format_html(
        '<span class="homepot-two"><strong>{}</strong><span class="homepot-small">{}</span></span>',
        first,
        second,
    )


def unbroken(text: str) -> SafeString:
    """A short text on one line."""
    return format_html('<span class="homepot-nowrap">{}</span>', text)


def time_text(moment: datetime | None, form: str = "SHORT_DATETIME_FORMAT") -> SafeString:
    """A time to the minute with its zone, on one line."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time class="homepot-time" datetime="{}">{}</time>',
        moment.isoformat(),
        date_format(localtime(moment), form),
    )


def second_text(moment: datetime | None) -> SafeString:
    """A time to the second with its zone, on one line."""
    return time_text(moment, "DATETIME_FORMAT")


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How far `moment` lies from `now`, as "3 minutes ago" or "in 2 hours"."""
    now = now or timezone.now()
    earlier, later = sorted((moment, now))
    distance = timesince(earlier, later, depth=1).replace("\xa0", " ")
    if distance.startswith("0 "):
        return "just now"
    return f"{distance} ago" if moment <= now else f"in {distance}"


def moment_text(moment: datetime | None, now: datetime | None = None) -> SafeString:
    """How long ago that was, and below it the time with its zone."""
    return NOTHING if moment is None else two_lines(ago(moment, now), time_text(moment))


def ago_text(moment: datetime, now: datetime | None = None) -> SafeString:
    """How long ago that was, on one line; the time with its zone is there for whoever points."""
    return format_html(
        '<time class="homepot-time" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        date_format(localtime(moment), "DATETIME_FORMAT"),
        ago(moment, now),
    )


def list_url(name: str, **parameters: Any) -> str:
    """The list `name`, "devices_device", filtered by `parameters`."""
    return f"{reverse(f'admin:{name}_changelist')}?{urlencode(parameters, doseq=True)}"


def list_link(name: str, text: str, **parameters: Any) -> SafeString:
    """A link to the list `name`, "devices_device", filtered by `parameters`."""
    return link(list_url(name, **parameters), text)


def page_link(name: str, pk: int, text: Any) -> SafeString:
    """A link to the page of the row `pk` of `name`, "devices_device"."""
    return link(reverse(f"admin:{name}_change", args=[pk]), text)


def link(url: str, text: Any) -> SafeString:
    return format_html('<a class="text-link" href="{}">{}</a>', url, text)


def once(show: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
    """Keep what a field's method says of a row: unfold asks for it several times a page."""

    @wraps(show)
    def shown(model_admin: Any, row: Any) -> str:
        kept = row.__dict__.setdefault("_shown", {})
        if show.__name__ not in kept:
            kept[show.__name__] = show(model_admin, row)
        return str(kept[show.__name__])

    return shown
