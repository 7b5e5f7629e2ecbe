"""Valid jobs, saved directly."""

from __future__ import annotations

from itertools import count
from typing import Any

from jobs.enums import JobAction
from jobs.models import Job
from sites.tests.factories import make_site

numbers = count(1)


def make_job(**fields: Any) -> Job:
    """A pending ping of no device yet, at a site of its own unless `site` is given."""
    number = next(numbers)
    if "site" not in fields:
        fields["site"] = make_site()
    return Job.objects.create(**{"job_id": f"job-{number:08}", "action": JobAction.PING} | fields)
