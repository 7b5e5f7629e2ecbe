"""Rows that are written from records are the JSON that dicts of them are."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import orjson
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from msgspec import Raw

from homepot.renderers import to_json
from homepot.rows import RowShape
from jobs.enums import JobAction, JobPriority

VALUES = [
    *(None, True, 2**63 - 1, 0.1, 1e16, 1e-7, -0.0, Decimal("1.50")),
    *('é\u2028\x7f\x00"\\/🥐', mark_safe("<b>"), gettext_lazy("Yes")),
    *(JobAction.PING, JobPriority.HIGH, UUID(int=7)),
    *(datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 1, 31, microsecond=1000, tzinfo=UTC)),
    *(Raw('{"a": [1]}'), [Raw("null")], {"a": (Raw('"x"'), None), "b": {JobAction.PING: 1}}),
]


def test_records_are_written_as_dicts_are():
    shape = RowShape(("value", "other"), ("value", "other"), (), is_whole=True)
    rows = [(value, None, "further") for value in VALUES]
    written, dicts = (orjson.loads(to_json(each(rows))) for each in (shape.written, shape.as_dicts))
    assert written == dicts
    assert [list(row) for row in written] == [["value", "other"]] * len(VALUES)
