"""Fixed vocabularies of accounts."""

from __future__ import annotations

from django.db import models


class Role(models.TextChoices):
    NONE = "none"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class SiteAccess(models.TextChoices):
    ALL = "all"
    SELECTED = "selected"
