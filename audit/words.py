"""What a row of the audit log says, in words: for people, who know no columns."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from audit.models import AuditLog
from audit.querysets import AuditLogQuerySet
from homepot.admin import (
    NOTHING,
    json_text,
    list_url,
    moment_text,
    page_link,
    second_text,
    two_lines,
)

TARGET_MODELS = ("site", "device", "job", "user")
TEXT_LENGTH = 160
# Of the rows about a thing, so many are on its page.
NEWEST = 8
# Words that are not written as others are.
CAPITALS = frozenset({"api", "dna", "dns", "id", "ip", "mac", "os", "pos", "ttl", "url"})
SPELLED = {"ids": "IDs", **{word: word.upper() for word in CAPITALS}}


def what(log: AuditLog, title: Any = None) -> SafeString:
    """What was done, and below it the sentence that tells of it, if there is one."""
    return two_lines(title or log.get_event_type_display(), log.description[:TEXT_LENGTH])


def target(log: AuditLog) -> SafeString:
    """What it was done to, and below it of which kind that is."""
    if not log.target_label:
        return NOTHING
    return two_lines(log.target_label, log.target_type.replace("_", " "))


def newest_of(rows: AuditLogQuerySet, *, empty: str, **parameters: Any) -> dict[str, Any]:
    """A section with the newest of `rows`; `parameters` pick them in the list. One statement."""
    newest = rows.defer("old_values", "new_values", "event_metadata")
    return {
        "headings": ("When", "What", "Who"),
        "rows": [
            (
                moment_text(row.created_at),
                what(row, page_link("audit_auditlog", row.pk, row.get_event_type_display())),
                row.actor_label or row.actor_kind,
            )
            for row in newest.order_by("-created_at", "-id")[:NEWEST]
        ],
        "empty": empty,
        "all": list_url("audit_auditlog", **parameters),
    }


def field_name(name: str) -> str:
    """As in "IP address"."""
    words = name.replace("_", " ").capitalize().split(" ")
    return " ".join(SPELLED.get(word.lower(), word) for word in words)


def changes_table(log: AuditLog) -> SafeString:
    """What was before and after, a line for each field."""
    before, after = log.old_values or {}, log.new_values or {}
    model = _model_of(log)
    lines = format_html_join(
        "",
        '<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>',
        (
            (
                field_name(name),
                value_text(before.get(name), _field_of(model, name)),
                value_text(after.get(name), _field_of(model, name)),
            )
            for name in dict.fromkeys((*before, *after))
        ),
    )
    if not lines:
        return NOTHING
    return format_html(
        '<table class="homepot-table"><thead><tr><th scope="col">Field</th>'
        '<th scope="col">Before</th><th scope="col">After</th></tr></thead>'
        "<tbody>{}</tbody></table>",
        lines,
    )


def details_table(log: AuditLog) -> SafeString:
    """What else is known, a line for each."""
    details = log.event_metadata
    if not isinstance(details, dict) or not details:
        return json_text(details)
    lines = ((field_name(name), value_text(value)) for name, value in details.items())
    table = format_html_join("", '<tr><th scope="row">{}</th><td>{}</td></tr>', lines)
    return format_html('<table class="homepot-table"><tbody>{}</tbody></table>', table)


def value_text(value: Any, field: Field | None = None) -> SafeString | str:
    """A value as people write it; `field` is the one that it was in, if there is such."""
    if value in (None, "", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "Yes" if value else "No"
    choices = dict(field.flatchoices) if field is not None and field.choices else {}
    if isinstance(value, (str, int)) and value in choices:
        return str(choices[value]).capitalize() if isinstance(value, int) else str(choices[value])
    if isinstance(value, str):
        moment = _moment(value)
        return value if moment is None else second_text(moment)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json_text(value)


def _moment(text: str) -> Any:
    if "T" not in text[10:11]:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _model_of(log: AuditLog) -> Any:
    if log.target_type not in TARGET_MODELS:
        return None
    return AuditLog._meta.get_field(log.target_type).related_model


def _field_of(model: Any, name: str) -> Field | None:
    try:
        return model._meta.get_field(name) if model is not None else None
    except FieldDoesNotExist:
        return None
