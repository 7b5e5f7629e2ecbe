"""The routes of the agent protocol; /api/v1/devices/... are in `devices/urls.py`."""

from __future__ import annotations

from typing import Any

from django.urls import re_path

from devices.enums import EventKind
from devices.protocol import views

POST: Any = {"post": "create"}

urlpatterns = [
    re_path(r"^agent/check-ins/?$", views.BatchViewSet.as_view(POST), name="check-ins"),
    re_path(r"^agent/heartbeat/?$", views.HeartbeatViewSet.as_view(POST), name="heartbeat"),
    re_path(r"^agent/telemetry/?$", views.TelemetryViewSet.as_view(POST), name="telemetry"),
    re_path(r"^agent/device-dna/?$", views.DeviceDnaViewSet.as_view(POST), name="device-dna"),
    *(
        re_path(
            rf"^agent/{path}/?$",
            views.EventViewSet.as_view(POST, kind=kind),
            name=f"agent-{path}",
        )
        for path, kind in (
            ("logs", EventKind.LOG),
            ("audit", EventKind.AUDIT),
            ("alert", EventKind.ALERT),
            ("config-history", EventKind.CONFIG),
        )
    ),
    re_path(r"^push/pending/?$", views.PushViewSet.as_view({"get": "list"}), name="pushes"),
    re_path(r"^push/ack/?$", views.PushViewSet.as_view(POST), name="push-ack"),
]
