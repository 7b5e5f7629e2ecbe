"""The routes about work below /api/v1 and outside /api/v1/jobs: mostly the agents'."""

from __future__ import annotations

from typing import Any

from django.urls import re_path

from homepot.identifiers import IDENTIFIER_PATTERN
from jobs.protocol import views
from jobs.views import DeviceExecutionViewSet

UUID = r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}"
POST: Any = {"post": "create"}
REPORT: Any = {"put": "report", "post": "report"}

urlpatterns = [
    re_path(
        rf"^devices/devices/(?P<device_id>{IDENTIFIER_PATTERN})/executions/?$",
        DeviceExecutionViewSet.as_view({"get": "list"}),
        name="device-executions",
    ),
    re_path(r"^agent/check-in/?$", views.CheckInViewSet.as_view(POST), name="check-in"),
    re_path(r"^devices/pending/?$", views.PendingViewSet.as_view({"get": "list"}), name="pending"),
    re_path(
        rf"^devices/(?P<device_id>{IDENTIFIER_PATTERN})/commands/(?P<command_id>{UUID})/ack/?$",
        views.CommandViewSet.as_view({"post": "acknowledge"}),
        name="command-ack",
    ),
    re_path(
        rf"^devices/(?P<command_id>{UUID})/status/?$",
        views.CommandViewSet.as_view(REPORT),
        name="command-status",
    ),
    re_path(r"^agent/jobs/?$", views.DeviceTaskViewSet.as_view(POST), name="device-tasks"),
    re_path(
        rf"^agent/jobs/(?P<job_id>{IDENTIFIER_PATTERN})/?$",
        views.DeviceTaskViewSet.as_view({"put": "update"}),
        name="device-task",
    ),
]
