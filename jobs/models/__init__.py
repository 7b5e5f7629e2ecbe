"""Jobs, and the share that each device has in them."""

from __future__ import annotations

from jobs.models.execution import JobExecution
from jobs.models.job import Job

__all__ = ["Job", "JobExecution"]
