from __future__ import annotations

from django.urls import re_path

from homepot.identifiers import IDENTIFIER_PATTERN
from jobs.views import (
    FleetWorkViewSet,
    JobExecutionViewSet,
    JobViewSet,
    SiteJobViewSet,
    SiteWorkViewSet,
)

urlpatterns = [
    re_path(r"^jobs/?$", JobViewSet.as_view({"get": "list", "post": "create"}), name="jobs"),
    re_path(
        rf"^jobs/(?P<job_id>{IDENTIFIER_PATTERN})/?$",
        JobViewSet.as_view({"get": "retrieve"}),
        name="job",
    ),
    re_path(
        rf"^jobs/(?P<job_id>{IDENTIFIER_PATTERN})/cancel/?$",
        JobViewSet.as_view({"post": "cancel"}),
        name="job-cancel",
    ),
    re_path(
        rf"^jobs/(?P<job_id>{IDENTIFIER_PATTERN})/retry/?$",
        JobViewSet.as_view({"post": "retry"}),
        name="job-retry",
    ),
    re_path(
        rf"^jobs/(?P<job_id>{IDENTIFIER_PATTERN})/executions/?$",
        JobExecutionViewSet.as_view({"get": "list"}),
        name="job-executions",
    ),
    re_path(
        rf"^sites/(?P<site_id>{IDENTIFIER_PATTERN})/jobs/?$",
        SiteJobViewSet.as_view({"get": "list", "post": "create"}),
        name="site-jobs",
    ),
    re_path(
        rf"^sites/(?P<site_id>{IDENTIFIER_PATTERN})/work/?$",
        SiteWorkViewSet.as_view({"get": "retrieve"}),
        name="site-work",
    ),
    re_path(r"^work/?$", FleetWorkViewSet.as_view({"get": "retrieve"}), name="fleet-work"),
]
