"""Named questions to the tables of jobs and executions."""

from __future__ import annotations

from typing import Any, Self

from django.apps import apps
from django.db import models
from django.db.models import Case, CharField, Exists, F, OuterRef, Q, Value, When

from accounts import policy
from accounts.models import SiteMembership
from accounts.scope import in_scope
from jobs.enums import ExecutionStatus

# How time ends an open execution: one that was to stop, and one that nobody began in time; any
# other fails.
IS_CANCELLED = Q(cancel_requested_at__isnull=False)
IS_EXPIRED = ~Q(status=ExecutionStatus.ACKNOWLEDGED) & Q(expires_at__lte=F("due_at"))


class JobQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The jobs `user` may know of: those with an execution, or a site, in scope."""
        if not policy.may(user, policy.Action.VIEW):
            return self.none()
        if not policy.is_scoped(user):
            return self
        own_sites = SiteMembership.objects.filter(user=user.pk).values("site")
        executions = apps.get_model("jobs", "JobExecution").objects.visible_to(user)
        # Asked for each job of a page, not for all executions there ever were.
        own_work = executions.order_by().filter(job=OuterRef("pk"))
        return self.filter(Q(site__in=own_sites) | Exists(own_work))


class JobExecutionQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> Self:
        """The executions by devices `user` may know of."""
        return in_scope(self, user, "device__site")

    def open(self) -> Self:
        """Those that have not ended."""
        return self.filter(due_at__isnull=False)

    def with_status(self, now: Any) -> Self:
        """Annotate `current_status` as of `now`: what time has ended has ended, swept or not."""
        return self.annotate(
            current_status=Case(
                When(due_at__lte=now, then=outcome_of_time()),
                default=F("status"),
                output_field=CharField(),
            )
        )


def outcome_of_time() -> Case:
    """What an open execution whose `due_at` is over has become, whenever that is asked."""
    return Case(
        When(IS_CANCELLED, then=Value(ExecutionStatus.CANCELLED)),
        When(IS_EXPIRED, then=Value(ExecutionStatus.EXPIRED)),
        default=Value(ExecutionStatus.FAILED),
        output_field=CharField(),
    )
