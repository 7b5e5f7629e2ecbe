"""The project's URLs: the admin, the API and its documentation."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

handler400 = "homepot.error_pages.handler400"
handler403 = "homepot.error_pages.handler403"
handler404 = "homepot.error_pages.handler404"
handler500 = "homepot.error_pages.handler500"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]
