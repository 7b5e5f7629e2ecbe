"""What lists of jobs and executions can be filtered by."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet

from accounts.filters import UsernameFilter
from homepot.filters import ChoiceFilter, TimeFilter
from jobs.enums import ExecutionStatus, JobAction, JobPriority, JobStatus
from jobs.models import Job, JobExecution


class SiteJobFilter(django_filters.FilterSet):
    status = ChoiceFilter(choices=JobStatus.choices)
    action = ChoiceFilter(choices=JobAction.choices)
    priority = ChoiceFilter(
        choices=[(priority.label, priority.label) for priority in JobPriority],
        method="filter_priority",
    )
    created_by = UsernameFilter(field_name="created_by__username")
    since = TimeFilter(field_name="created_at", lookup_expr="gte")
    until = TimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Job
        fields: list[str] = []

    def filter_priority(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(priority=JobPriority[value.upper()])


class JobFilter(SiteJobFilter):
    site_id = django_filters.CharFilter(field_name="site__site_id")


class ExecutionFilter(django_filters.FilterSet):
    status = ChoiceFilter(choices=ExecutionStatus.choices, field_name="current_status")
    error_code = django_filters.CharFilter()
    since = TimeFilter(field_name="created_at", lookup_expr="gte")
    until = TimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = JobExecution
        fields: list[str] = []
