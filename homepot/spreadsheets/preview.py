"""What the page of an import shows: what its lines would do, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.safestring import SafeString

from homepot.admin.text import label
from homepot.enums import ImportState, LineOutcome, LineVerdict
from homepot.forms import is_key
from homepot.models import DataImport, ImportLine
from homepot.spreadsheets.sheet import Sheet
from homepot.sweeps import sweep_states

LINES_SHOWN = 100
VALUE_LENGTH = 200
SWEEP = "homepot.spreadsheets.sweeps.apply_imports"

TO_DO = Q(verdict__in=(LineVerdict.CREATE, LineVerdict.UPDATE))
ALL = "all"
# The tabs before an import is confirmed, and after: name, title, which lines.
PLANNED: dict[str, tuple[str, Q]] = {
    ALL: ("All", Q()),
    "create": ("New", Q(verdict=LineVerdict.CREATE)),
    "update": ("Change", Q(verdict=LineVerdict.UPDATE)),
    "unchanged": ("No change", Q(verdict=LineVerdict.UNCHANGED)),
    "refused": ("Left out", Q(verdict=LineVerdict.REFUSED)),
}
DONE: dict[str, tuple[str, Q]] = {
    ALL: ("All", Q()),
    "create": ("Created", Q(outcome=LineOutcome.CREATED)),
    "update": ("Changed", Q(outcome=LineOutcome.UPDATED)),
    "unchanged": (
        "No change",
        Q(verdict=LineVerdict.UNCHANGED) | Q(outcome=LineOutcome.UNCHANGED),
    ),
    "refused": ("Left out", Q(verdict=LineVerdict.REFUSED) | Q(outcome=LineOutcome.REFUSED)),
    "open": ("Not done", TO_DO & Q(outcome="")),
}
# Words, colours and symbols of lines.
PLANS = {
    LineVerdict.CREATE: ("New", "success", "add_circle"),
    LineVerdict.UPDATE: ("Change", "info", "edit"),
    LineVerdict.UNCHANGED: ("No change", "", "equal"),
    LineVerdict.REFUSED: ("Left out", "warning", "block"),
}
OUTCOMES = {
    LineOutcome.CREATED: ("Created", "success", "check_circle"),
    LineOutcome.UPDATED: ("Changed", "info", "check_circle"),
    LineOutcome.UNCHANGED: ("No change", "", "equal"),
    LineOutcome.REFUSED: ("Left out", "danger", "error"),
}


def preview(sheet: Sheet, data_import: DataImport, query: QueryDict) -> dict[str, Any]:
    """One page of the lines that the reader asked for, and how many there are of each kind.

    Two statements.
    """
    is_planned = data_import.state == ImportState.CHECKED
    kinds = PLANNED if is_planned else DONE
    shown = query.get("show", ALL)
    shown = shown if shown in kinds else ALL
    after = query.get("after", "0")
    lines = data_import.lines.filter(
        kinds[shown][1], number__gt=int(after) if is_key(after) else 0
    ).order_by("number")[: LINES_SHOWN + 1]
    found = list(lines)
    counts = _counts(data_import, is_planned=is_planned)
    states = {state.name: state for state in sweep_states(timezone.now())}
    return {
        "sheet": sheet,
        "data_import": data_import,
        "is_planned": is_planned,
        "is_running": data_import.state == ImportState.APPLYING,
        "has_stopped": data_import.state == ImportState.STOPPED,
        # Without workers it goes on only where somebody asks for it.
        "has_no_worker": states[SWEEP].is_overdue,
        "tabs": [
            {
                "title": title,
                "count": f"{counts[name]:,}",
                "url": f"?show={name}",
                "is_current": name == shown,
            }
            for name, (title, _) in kinds.items()
            if counts[name] or name == shown
        ],
        "counts": counts,
        "written": {
            name: f"{count:,}"
            for name, count in (
                *counts.items(),
                ("to_do", data_import.to_do),
                ("done", data_import.done),
            )
        },
        "rows": [_row(sheet, line) for line in found[:LINES_SHOWN]],
        "next_url": f"?show={shown}&after={found[LINES_SHOWN - 1].number}"
        if len(found) > LINES_SHOWN
        else None,
        "first_url": f"?show={shown}" if after != "0" else None,
    }


def _counts(data_import: DataImport, *, is_planned: bool) -> Mapping[str, int]:
    counts = {
        "create": data_import.to_create if is_planned else data_import.created,
        "update": data_import.to_update if is_planned else data_import.updated,
        "unchanged": data_import.unchanged + data_import.already,
        "refused": data_import.refused + data_import.failed,
        "open": 0 if is_planned else data_import.to_do - data_import.done,
    }
    return {**counts, ALL: sum(counts.values())}


def _row(sheet: Sheet, line: ImportLine) -> dict[str, Any]:
    word, colour, symbol = (
        OUTCOMES[LineOutcome(line.outcome)] if line.outcome else PLANS[LineVerdict(line.verdict)]
    )
    return {
        "number": line.number,
        "label": line.label,
        "key": line.key,
        "kind": _badge(word, colour, symbol),
        "message": line.message,
        "changes": [
            {"name": name, "old": _text(old), "new": _text(new)}
            for name, (old, new) in line.changes.items()
            # Of a new thing these stand beside it.
            if line.verdict == LineVerdict.UPDATE or name not in (sheet.key, "name")
        ],
        "is_new": line.verdict == LineVerdict.CREATE,
    }


def _badge(word: str, colour: str, symbol: str) -> SafeString:
    return label(word, {word: colour}, symbol)


def _text(value: Any) -> str:
    if value in (None, "", {}):
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}…"
