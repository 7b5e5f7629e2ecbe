"""Names the admin site for Django, in a module that can be read before the models."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class HomepotAdminConfig(AdminConfig):
    default_site = "accounts.admin_site.HomepotAdminSite"
