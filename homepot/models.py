"""What tables of several apps share."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class TimestampedModel(models.Model):
    """A row that knows when it was made and last changed (aware, UTC)."""

    # A default and not auto_now_add: fixtures and imports bring times of their own.
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
