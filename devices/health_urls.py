from __future__ import annotations

from django.urls import re_path

from devices.views import SiteHealthViewSet
from homepot.identifiers import IDENTIFIER_PATTERN

urlpatterns = [
    re_path(
        rf"^sites/(?P<site_id>{IDENTIFIER_PATTERN})/health/?$",
        SiteHealthViewSet.as_view({"get": "retrieve"}),
        name="site-health",
    ),
]
