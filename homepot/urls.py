"""The project's URLs: the admin, the API and its documentation."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from homepot.views import SchemaView, SwaggerView

handler400 = "homepot.error_pages.handler400"
handler403 = "homepot.error_pages.handler403"
handler404 = "homepot.error_pages.handler404"
handler500 = "homepot.error_pages.handler500"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1/auth/", include("accounts.urls")),
    path("api/v1/auth/", include("accounts.user_urls")),
    path("api/v1/audit/", include("audit.urls")),
    path("api/v1/sites/", include("sites.urls")),
    path("api/v1/devices/", include("devices.urls")),
    path("api/v1/jobs/", include("jobs.urls")),
    path("api/v1/", include("devices.protocol.urls")),
    path("api/v1/", include("jobs.protocol.urls")),
    path("api/v1/health/", include("devices.health_urls")),
    re_path(r"^api/v1/schema/?$", SchemaView.as_view(), name="schema"),
    re_path(r"^api/v1/docs/?$", SwaggerView.as_view(url_name="schema"), name="docs"),
]
