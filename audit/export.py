"""The audit log as a file, of any length, in the memory of one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import models
from django.http import StreamingHttpResponse

from audit import services as audit
from audit.enums import AuditEvent
from audit.serializers import AuditLogSerializer
from homepot.renderers import ORJSONRenderer
from homepot.rows import row_shape
from homepot.spreadsheets.writing import (
    CSV_TYPE,
    attachment,
    cell_of,
    csv_pages,
    pages,
    release_connection,
)


class ExportFormat(models.TextChoices):
    CSV = "csv", "CSV"
    NDJSON = "ndjson", "NDJSON"


CONTENT_TYPES = {
    ExportFormat.CSV: CSV_TYPE,
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
    shape = row_shape(AuditLogSerializer)
    found = pages(rows.filter(pk__lt=told.pk), lambda rest: shape.select(rest, "created_at", "pk"))
    answers = (shape.as_dicts(page) for page in found)
    release_connection()
    return StreamingHttpResponse(
        _csv(answers) if format is ExportFormat.CSV else _ndjson(answers),
        content_type=CONTENT_TYPES[format],
        headers=attachment("audit-log", format),
    )


def _ndjson(found: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    renderer = ORJSONRenderer()
    for page in found:
        yield b"".join(renderer.render(row) + b"\n" for row in page)


def _csv(found: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    names = row_shape(AuditLogSerializer).names
    return csv_pages(
        names, ([[cell_of(value) for value in row.values()] for row in page] for page in found)
    )
