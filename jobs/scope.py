"""Whether somebody may change a whole job, and not only know of it."""

from __future__ import annotations

from accounts.models import User
from jobs.errors import OutOfScopeError
from jobs.models import Job, JobExecution


def refuse_out_of_scope(job: Job, user: User) -> None:
    """Raise OutOfScopeError when work is open at a device that is none of the user's."""
    own = JobExecution.objects.visible_to(user).values("pk")
    if JobExecution.objects.open().filter(job=job).exclude(pk__in=own).exists():
        raise OutOfScopeError(f"Job {job.job_id} is also for devices of sites that are not yours.")
