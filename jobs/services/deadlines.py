"""What time alone ends: work that nobody began, and work that went quiet."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Case, CharField, F, Q, Value, When

from homepot.transactions import retried
from jobs.enums import ErrorCode, ExecutionStatus
from jobs.models import JobExecution
from jobs.querysets import outcome_of_time
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
        .annotate(outcome=outcome_of_time(now))
        .order_by("due_at", "pk")
        .select_for_update(skip_locked=True)
        .values_list("pk", "job_id", "outcome")[:ENDED_AT_ONCE]
    )
    if not rows:
        return 0
    was_begun = Q(status=ExecutionStatus.ACKNOWLEDGED)
    is_failed = Q(pk__in=[pk for pk, _, outcome in rows if outcome == ExecutionStatus.FAILED])

    def told(begun: str, not_begun: str) -> Case:
        return Case(
            When(is_failed & was_begun, then=Value(begun)),
            When(is_failed, then=Value(not_begun)),
            default=Value(""),
            output_field=CharField(),
        )

    JobExecution.objects.filter(pk__in=[pk for pk, _, _ in rows]).update(
        status=outcome_of_time(now),
        error_code=told(ErrorCode.TIMED_OUT, ErrorCode.NOT_ACKNOWLEDGED),
        error_message=told(MESSAGES[ErrorCode.TIMED_OUT], MESSAGES[ErrorCode.NOT_ACKNOWLEDGED]),
        # When it was over, however late the sweep.
        finished_at=F("due_at"),
        offer_at=None,
        due_at=None,
        updated_at=now,
    )
    count_ended(
        [(job_pk, ExecutionStatus(outcome)) for _, job_pk, outcome in rows], now=now, actor=None
    )
    return len(rows)
