"""What time alone ends: work that nobody began, and work that went quiet."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Case, CharField, F, Value, When

from homepot.bulk import any_of
from homepot.transactions import retried
from jobs.enums import ErrorCode, ExecutionStatus
from jobs.models import JobExecution
from jobs.querysets import IS_CANCELLED, IS_EXPIRED, outcome_of_time
from jobs.services.outcomes import count_ended

# Executions ended in one transaction.
ENDED_AT_ONCE = 500
MESSAGES = {
    ErrorCode.TIMED_OUT: "The device began and was not heard of again in time.",
    ErrorCode.NOT_ACKNOWLEDGED: "The device was offered this several times and never began.",
}


@retried
def end_due_executions(now: datetime, **which: object) -> int:
    """End up to 500 executions whose time is over by `now`; returns how many.

    Two at once share them. `which` narrows them down, such as `pk=1`.
    """
    rows = list(
        JobExecution.objects.filter(due_at__lte=now, **which)
        .annotate(outcome=outcome_of_time())
        .order_by("due_at", "pk")
        .select_for_update(skip_locked=True)
        .values_list("pk", "job_id", "outcome")[:ENDED_AT_ONCE]
    )
    if rows:
        end_by_time([pk for pk, _, _ in rows], now)
        ended = [(job_pk, ExecutionStatus(outcome)) for _, job_pk, outcome in rows]
        count_ended(ended, now=now, actor=None)
    return len(rows)


def end_by_time(pks: list[int], now: datetime) -> None:
    """End executions as time has; the caller has locked them, and counts them."""

    def told(timed_out: str, not_acknowledged: str) -> Case:
        return Case(
            When(IS_CANCELLED | IS_EXPIRED, then=Value("")),
            When(status=ExecutionStatus.ACKNOWLEDGED, then=Value(timed_out)),
            default=Value(not_acknowledged),
            output_field=CharField(),
        )

    JobExecution.objects.filter(pk__in=any_of(pks)).update(
        status=outcome_of_time(),
        error_code=told(ErrorCode.TIMED_OUT, ErrorCode.NOT_ACKNOWLEDGED),
        error_message=told(MESSAGES[ErrorCode.TIMED_OUT], MESSAGES[ErrorCode.NOT_ACKNOWLEDGED]),
        # When it was over, however late the sweep.
        finished_at=F("due_at"),
        offer_at=None,
        due_at=None,
        updated_at=now,
    )
