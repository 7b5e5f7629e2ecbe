"""What the admin pages of all apps share."""

from __future__ import annotations

from homepot.admin.commands import Command, CommandAdmin, CommandForm, on_list, on_page
from homepot.admin.filters import DateRangeFilter, InUseFilter, RelatedFilter
from homepot.admin.pages import LongTableAdmin, ModelAdmin, ReadOnlyModelAdmin
from homepot.admin.refusals import REFUSALS, refusal_text
from homepot.admin.retiring import RetirableModelAdmin
from homepot.admin.text import (
    NOTHING,
    ago,
    ago_text,
    json_text,
    label,
    link,
    list_link,
    list_url,
    moment_text,
    once,
    page_link,
    second_text,
    symbol,
    time_text,
    two_lines,
    unbroken,
)

__all__ = [
    "NOTHING",
    "REFUSALS",
    "Command",
    "CommandAdmin",
    "CommandForm",
    "DateRangeFilter",
    "InUseFilter",
    "LongTableAdmin",
    "ModelAdmin",
    "ReadOnlyModelAdmin",
    "RelatedFilter",
    "RetirableModelAdmin",
    "ago",
    "ago_text",
    "json_text",
    "label",
    "link",
    "list_link",
    "list_url",
    "moment_text",
    "on_list",
    "on_page",
    "once",
    "page_link",
    "refusal_text",
    "second_text",
    "symbol",
    "time_text",
    "two_lines",
    "unbroken",
]
