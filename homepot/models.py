"""What tables of several apps share."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

# The largest value of an integer column of PostgreSQL; SQLite would take more.
MAX_INTEGER = 2**31 - 1


class TimestampedModel(models.Model):
    """A row that knows when it was made and last changed (aware, UTC)."""

    # A default and not auto_now_add: fixtures and imports bring times of their own.
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
