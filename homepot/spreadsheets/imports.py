"""Imports: a file is read and compared, looked at, and only then applied.

What was read waits in the database between the two: any web process can go on with it, and the
browser keeps nothing. It is applied in steps, each a short transaction that moves the import on
with what it did, so that an interruption loses nothing and does nothing twice. The request that
confirms an import takes the first steps; workers take the rest.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import IO, Any

from django.contrib.auth import get_user_model
from django.db import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    transaction,
)
from django.db.models import F
from django.utils import timezone

from homepot.bulk import insert_rows
from homepot.enums import ImportState, LineOutcome, LineVerdict
from homepot.errors import violated_columns
from homepot.models import DataImport, ImportLine
from homepot.request_context import RequestContext, current_request
from homepot.spreadsheets.applying import apply_lines, refuse
from homepot.spreadsheets.columns import Column
from homepot.spreadsheets.errors import ImportNotReadyError
from homepot.spreadsheets.reading import Line, UnreadableFileError, read_lines
from homepot.spreadsheets.sheet import Judged, Sheet, sheet_named

logger = logging.getLogger(__name__)

# Lines that are compared, and stored, at once; and applied in one transaction.
READ_AT_ONCE = 1_000
APPLIED_AT_ONCE = 500
# How long a preview is good for, and how long it can be looked at what became of one.
PREVIEW_HOURS = 24
KEPT = timedelta(days=7)

LINE_COLUMNS = (
    "data_import",
    "number",
    "key",
    "label",
    "verdict",
    "outcome",
    "message",
    "changes",
)
COUNTERS = {
    LineVerdict.CREATE: "to_create",
    LineVerdict.UPDATE: "to_update",
    LineVerdict.UNCHANGED: "unchanged",
    LineVerdict.REFUSED: "refused",
    LineOutcome.CREATED: "created",
    LineOutcome.UPDATED: "updated",
}


def read_import(*, sheet: Sheet, file: IO[bytes], filename: str, user: Any) -> DataImport:
    """Read and compare `file`; nothing is changed yet. Raises UnreadableFileError.

    It takes the place of what `user` uploaded before and did not apply.
    """
    _drop_preview(sheet, user)
    data_import = DataImport.objects.create(sheet=sheet.name, user=user, filename=filename[-200:])
    try:
        lines = read_lines(file)
        head = sheet.read_head(next(lines, (0, []))[1])
        counts = _read(data_import, sheet, head, lines, user)
    except UnreadableFileError:
        data_import.delete()
        raise
    data_import.columns = [column.name for column in head if column and column.is_taken]
    data_import.ignored_columns = [column.name for column in head if column and not column.is_taken]
    for verdict in LineVerdict:
        setattr(data_import, COUNTERS[verdict], counts[verdict])
    data_import.state = ImportState.CHECKED
    data_import.save()
    return data_import


@transaction.atomic
def _drop_preview(sheet: Sheet, user: Any) -> None:
    previews = DataImport.objects.filter(user=user, sheet=sheet.name, state=ImportState.CHECKED)
    # Under a lock: one that is just being confirmed stays.
    locked = list(previews.select_for_update().values_list("pk", flat=True))
    DataImport.objects.filter(pk__in=locked).delete()


def _read(
    data_import: DataImport,
    sheet: Sheet,
    head: list[Column | None],
    lines: Iterator[Line],
    user: Any,
) -> Counter[str]:
    counts: Counter[str] = Counter()
    seen: dict[str, int] = {}
    claims: dict[Any, Any] = {}
    while part := list(islice(lines, READ_AT_ONCE)):
        judged = [_begin(number, cells, head, sheet, seen) for number, cells in part]
        sheet.judge(judged, user, claims)
        insert_rows(
            ImportLine,
            LINE_COLUMNS,
            [
                (
                    data_import.pk,
                    line.number,
                    line.key[:200],
                    line.label[:200],
                    line.verdict,
                    "",
                    line.message[:1000],
                    line.changes,
                )
                for line in judged
            ],
        )
        counts.update(line.verdict for line in judged)
    if not counts:
        raise UnreadableFileError("The file has no lines below the one that names the columns.")
    return counts


def _begin(
    number: int,
    cells: list[str],
    head: list[Column | None],
    sheet: Sheet,
    seen: dict[str, int],
) -> Judged:
    """The line with what it gives; refused already when it cannot be taken by itself."""
    given = {
        column.name: cell
        for column, cell in zip(head, cells, strict=False)
        if column is not None and column.is_taken
    }
    line = Judged(number, given, key=given.get(sheet.key, ""), label=given.get("name", ""))
    stray = [cell for column, cell in zip(head, cells, strict=False) if column is None]
    if any(stray) or any(cells[len(head) :]):
        line.refuse("It has more cells than the first line names.")
    elif line.key and line.key in seen:
        line.refuse(f"Line {seen[line.key]} is about {line.key} too.")
    elif line.key:
        seen[line.key] = number
    return line


def confirm_import(*, data_import: DataImport, context: RequestContext | None) -> None:
    """Let its lines be applied; `context` is told in their audit rows.

    Raises ImportNotReadyError when that was confirmed before, or the preview is too old.
    """
    now = timezone.now()
    # One conditional UPDATE: of two clicks one confirms it.
    confirmed = DataImport.objects.filter(
        pk=data_import.pk,
        state=ImportState.CHECKED,
        created_at__gt=now - timedelta(hours=PREVIEW_HOURS),
    ).update(
        state=ImportState.APPLYING,
        confirmed_at=now,
        request_id=context.request_id if context else "",
        ip_address=(context.ip_address or "") if context else "",
        user_agent=context.user_agent if context else "",
    )
    if not confirmed:
        raise ImportNotReadyError(
            "This import was confirmed before, or its preview is older than a day: upload the "
            "file again. What is in already is left as it is."
        )


def apply_steps(pk: int) -> Iterator[int]:
    """Apply the confirmed import `pk` step by step; yields the lines of each."""
    try:
        yield from _steps(pk)
    except (OperationalError, InterfaceError):
        raise  # the database is away; a worker goes on later
    except Exception:
        logger.exception("Import %s stopped", pk)
        with transaction.atomic():
            if data_import := _locked(pk):
                _end(data_import, "It could not be done, for a fault that the log tells of.")


def _steps(pk: int) -> Iterator[int]:
    while True:
        try:
            count = _step(pk, APPLIED_AT_ONCE)
        except IntegrityError as error:
            if not violated_columns(error):
                raise
            # Somebody else wrote at the same moment: one by one, to find which line it is.
            for _ in range(APPLIED_AT_ONCE):
                if count := _single_step(pk):
                    yield count
        else:
            if not count:
                return
            yield count


def _single_step(pk: int) -> int:
    try:
        return _step(pk, 1)
    except IntegrityError as error:
        if not violated_columns(error):
            raise
        return _step(pk, 1, why_not="It clashes with what is stored: somebody was faster.")


@transaction.atomic
def _step(pk: int, at_once: int, why_not: str = "") -> int:
    """Apply the next lines, or with `why_not` leave the next one out; returns how many.

    0 when there is nothing to do; then the import has ended.
    """
    data_import = _locked(pk)
    if data_import is None:
        return 0
    sheet = sheet_named(data_import.sheet)
    user = get_user_model()._default_manager.get(pk=data_import.user_id)
    todo = data_import.lines.filter(
        number__gt=data_import.applied_up_to,
        verdict__in=(LineVerdict.CREATE, LineVerdict.UPDATE),
    )
    lines = list(todo.order_by("number")[:at_once])
    if not lines:
        _end(data_import)
        return 0
    if not sheet.may_import(user):
        _end(data_import, f"{user} may not do this any more.")
        return 0
    with _as_in_request(data_import):
        if why_not:
            refuse(lines[0], why_not)
        else:
            apply_lines(sheet, lines, user)
    counts = Counter(line.outcome for line in lines)
    DataImport.objects.filter(pk=pk).update(
        applied_up_to=lines[-1].number,
        created=F("created") + counts[LineOutcome.CREATED],
        updated=F("updated") + counts[LineOutcome.UPDATED],
        already=F("already") + counts[LineOutcome.UNCHANGED],
        failed=F("failed") + counts[LineOutcome.REFUSED],
    )
    return len(lines)


def _locked(pk: int) -> DataImport | None:
    """The import, if it is to be applied; nobody else takes a step of it meanwhile."""
    rows = DataImport.objects.select_for_update(no_key=True)
    return rows.filter(pk=pk, state=ImportState.APPLYING).first()


def _end(data_import: DataImport, reason: str = "") -> None:
    data_import.state = ImportState.STOPPED if reason else ImportState.APPLIED
    data_import.reason = reason
    data_import.finished_at = timezone.now()
    data_import.save(update_fields=["state", "reason", "finished_at"])
    user = get_user_model()._default_manager.get(pk=data_import.user_id)
    with _as_in_request(data_import):
        sheet_named(data_import.sheet).record_end(data_import, user)


@contextmanager
def _as_in_request(data_import: DataImport) -> Iterator[None]:
    """Audit rows tell of the request that confirmed the import, whoever takes the step."""
    context = RequestContext(
        request_id=data_import.request_id,
        ip_address=data_import.ip_address or None,
        user_agent=data_import.user_agent,
    )
    token = current_request.set(context)
    try:
        yield
    finally:
        current_request.reset(token)
