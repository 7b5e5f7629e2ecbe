"""Staff pages of jobs and their executions."""

from __future__ import annotations

from jobs.admin import about, execution, job, job_page, overview

__all__ = ["about", "execution", "job", "job_page", "overview"]
