"""The rows of the admin's lists.

unfold's own tag asks for the headings again with every row and renders a template for every
row and every box, which took most of the time that a list takes to open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import template
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import FieldDoesNotExist
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from unfold.admin import checkbox
from unfold.templatetags.unfold_list import (
    CHECKBOX_CLASSES,
    LINK_CLASSES,
    ROW_CLASSES,
    result_headers,
)
from unfold.utils import (
    display_for_field,
    display_for_header,
    display_for_label,
    display_for_value,
)

register = template.Library()

# What another package calls what our pages have another name for.
SHOWN_NAMES = {"access attempts": "failed sign-ins", "job executions": "executions"}

Write = Callable[[Any], Any]
# Takes the place of a row's key in what is the same for all rows.
ANY_KEY = "any-key"
BODY_CLASSES = "block relative lg:table-row-group"
STRIPES = ("", " bg-base-50 dark:bg-white/[.02]")
ROW = (
    '<tr class="data-row block border border-base-200 mb-3 relative rounded-default lg:table-row '
    'lg:border-none lg:mb-0 lg:rounded-none dark:border-base-800">'
)


@register.filter
def shown_name(title: Any) -> Any:
    """What a list is called, where its table has another name."""
    return SHOWN_NAMES.get(str(title), title)


@register.filter
def with_headings(row: Sequence[Any], headings: Sequence[str]) -> list[tuple[Any, str]]:
    """The cells of a row, each with the heading of its column."""
    return list(zip(row, headings, strict=True))


@register.inclusion_tag("homepot/admin/result_list.html", takes_context=True)
def homepot_result_list(context: Any, cl: Any) -> dict[str, Any]:
    headers = list(result_headers(cl))
    return {
        "cl": cl,
        "result_headers": headers,
        "num_sorted_fields": sum(
            bool(header["sortable"] and header["sorted"]) for header in headers
        ),
        "rows": rows(cl, headers),
        "has_add_permission": context.get("has_add_permission"),
    }


def rows(cl: Any, headers: Sequence[dict[str, Any]]) -> SafeString:
    columns = list(_columns(cl, headers))
    parts = []
    for number, row in enumerate(cl.result_list):
        parts.append(f'<tbody class="{BODY_CLASSES}{STRIPES[number % 2]}">{ROW}')
        parts.extend(f"{start}{write(row)}{end}" for start, write, end in columns)
        parts.append("</tr></tbody>")
    # Every part is markup from here or was escaped by `_columns`.
    return mark_safe("".join(parts))  # noqa: S308


def _columns(cl: Any, headers: Sequence[dict[str, Any]]) -> Any:
    """For each column what comes before a value, what writes it, escaped, and what comes after."""
    has_link = False
    for name, header in zip(cl.list_display, headers, strict=True):
        if name == "action_checkbox":
            start = format_html('<td class="{}" data-label="Select">', " ".join(CHECKBOX_CLASSES))
            yield start, _write_box(), "</td>"
            continue
        classes = " ".join((f"field-{name}", *ROW_CLASSES))
        is_link = not has_link if not cl.list_display_links else name in cl.list_display_links
        tag = "th" if is_link and not has_link else "td"
        scope = mark_safe(' scope="row"') if tag == "th" else ""
        start = format_html(
            '<{}{} class="{}" data-label="{}">', tag, scope, classes, capfirst(header["text"])
        )
        write = _write_value(cl, name)
        yield start, _write_link(cl, write) if is_link else write, f"</{tag}>"
        has_link = has_link or is_link


def _write_value(cl: Any, name: str) -> Write:
    model_admin = cl.model_admin
    empty = model_admin.get_empty_value_display()
    try:
        field: Any = cl.lookup_opts.get_field(name)
    except FieldDoesNotExist:
        show: Any = getattr(model_admin, name)
        empty = getattr(show, "empty_value_display", empty)
        if getattr(show, "header", False):
            return lambda row: display_for_header(show(row), empty)
        if shown_as := getattr(show, "label", False):
            return lambda row: display_for_label(show(row), empty, shown_as)
        is_boolean = getattr(show, "boolean", False)
        return lambda row: conditional_escape(display_for_value(show(row), empty, is_boolean))
    if field.is_relation:
        return lambda row: conditional_escape(getattr(row, name) or empty)
    return lambda row: conditional_escape(display_for_field(getattr(row, name), field, empty))


def _write_link(cl: Any, write: Write) -> Write:
    kept = f"?{cl.preserved_filters}" if cl.preserved_filters else ""
    link = '<a href="{}{}" class="{}">{}</a>'
    classes = " ".join(LINK_CLASSES)
    return lambda row: format_html(link, cl.url_for_result(row), kept, classes, write(row))


def _write_box() -> Write:
    before, after = str(checkbox.render(ACTION_CHECKBOX_NAME, ANY_KEY)).split(ANY_KEY)
    return lambda row: f"{before}{conditional_escape(row.pk)}{after}"
