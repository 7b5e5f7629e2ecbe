"""The audit log as a file, of any length, in the memory of one page.

Each page is a short read of its own. Between two of them neither a transaction nor a cursor
is open, and the connection is free: a reader with a slow line holds up nobody.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import connection, models
from django.db.models import F
from django.db.models.fields.tuple_lookups import Tuple, TupleLessThan
from django.http import StreamingHttpResponse
from django.utils import timezone

from audit import services as audit
from audit.enums import AuditEvent
from audit.serializers import AuditLogSerializer
from homepot.renderers import ORJSONRenderer
from homepot.rows import row_shape
from homepot.text import without_formula

PAGE_ROWS = 1_000


class ExportFormat(models.TextChoices):
    CSV = "csv", "CSV"
    NDJSON = "ndjson", "NDJSON"


CONTENT_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.NDJSON: "application/x-ndjson",
}


def export_response(
    rows: models.QuerySet, *, format: ExportFormat, actor: models.Model, filters: Mapping[str, Any]
) -> StreamingHttpResponse:
    """`rows` that are there now, newest first, as an answer to be saved as a file.

    That `actor` read them, by which `filters`, is in the audit log before the first byte.
    """
    told = audit.record(
        event=AuditEvent.DATA_EXPORTED,
        actor=actor,
        description=f"The audit log as {format.label}",
        metadata={"format": format, "filters": filters},
    )
    pages = _pages(rows.filter(pk__lt=told.pk))
    _release_connection()
    return StreamingHttpResponse(
        _csv(pages) if format is ExportFormat.CSV else _ndjson(pages),
        content_type=CONTENT_TYPES[format],
        headers={
            "Content-Disposition": (
                f'attachment; filename="audit-log-{timezone.now():%Y%m%dT%H%M%SZ}.{format}"'
            ),
            "Cache-Control": "no-store",
        },
    )


def _pages(rows: models.QuerySet) -> Iterator[list[dict[str, Any]]]:
    shape = row_shape(AuditLogSerializer)
    rows = rows.order_by("-created_at", "-pk")
    rest = rows
    while True:
        page = list(shape.select(rest, "created_at", "pk")[:PAGE_ROWS])
        _release_connection()
        if page:
            yield shape.as_dicts(page)
        if len(page) < PAGE_ROWS:
            return
        last = page[-1][-2:]
        rest = rows.filter(TupleLessThan(Tuple(F("created_at"), F("pk")), last))


def _release_connection() -> None:
    """Give the connection back to the pool; the next page takes one again."""
    if not connection.in_atomic_block:
        connection.close()


def _ndjson(pages: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    renderer = ORJSONRenderer()
    for page in pages:
        yield b"".join(renderer.render(row) + b"\n" for row in page)


def _csv(pages: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    yield _csv_lines([row_shape(AuditLogSerializer).names])
    for page in pages:
        yield _csv_lines([_cell(value) for value in row.values()] for row in page)


def _csv_lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case dict() | list():
            value = json.dumps(value, ensure_ascii=False)
    return without_formula(str(value))
