"""Finding what is typed into the search of the audit log, at any length of the log.

The words are not compared with its rows: what they name is found first, and then its rows by one
index, newest first. An id or a username is whole; a name may be the beginning of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet

from audit.models import AuditLog

# Of things whose names begin like that, so many are looked at.
NAMED_AT_MOST = 20
# Where a name that is no id is looked for.
NAMED = ("device", "site")
LONGEST = 200


def search(rows: QuerySet, text: str, reader: Any) -> QuerySet:
    """Those of `rows` that are about what `text` names, as far as `reader` may know of it."""
    text = text.strip()
    if not text or len(text) > LONGEST or "\0" in text:
        return rows if not text else rows.none()
    for condition in _conditions(text, reader):
        # One condition and not several, so that one index gives the rows and their order. Asked
        # for in that order: else PostgreSQL may look for any such row from the table's beginning.
        # The whole log is asked first, which is the quickest; what counts is what the reader sees.
        found = rows.filter(condition)
        if _newest(AuditLog.objects.filter(condition)) and _newest(found):
            return found
    return rows.none()


def _newest(rows: QuerySet) -> int | None:
    return rows.order_by("-created_at", "-pk").values_list("pk", flat=True).first()


def _conditions(text: str, reader: Any) -> Iterator[Q]:
    """What `text` may name, the most telling first; each is asked for only if none before was."""
    yield Q(request_id=text)
    for name in ("job", "device", "site"):
        known = _known(name, reader)
        if pk := known.filter(**{f"{name}_id": text}).values_list("pk", flat=True).first():
            yield Q(**{name: pk})
    # Usernames are written in one way only, and typed in several.
    for name in dict.fromkeys((text.casefold(), text)):
        yield Q(actor_label=name)
        yield Q(target_label=name)
    for name in NAMED:
        known = _known(name, reader).filter(
            Q(name__istartswith=text) | Q(**{f"{name}_id__istartswith": text})
        )
        if pks := list(known.order_by("pk").values_list("pk", flat=True)[:NAMED_AT_MOST]):
            yield Q(**{f"{name}__in": pks})


def _known(name: str, reader: Any) -> Any:
    related: Any = AuditLog._meta.get_field(name).related_model
    return related.objects.visible_to(reader)
