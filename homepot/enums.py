"""Fixed vocabularies of what all apps share."""

from __future__ import annotations

from django.db import models


class ImportState(models.TextChoices):
    READING = "reading"
    # Its preview can be looked at; nothing is changed yet.
    CHECKED = "checked"
    APPLYING = "applying"
    APPLIED = "applied"
    # What was applied until then stays.
    STOPPED = "stopped"


class LineVerdict(models.TextChoices):
    """What a line of an import is going to do."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged", "No change"
    REFUSED = "refused", "Left out"


class LineOutcome(models.TextChoices):
    """What became of a line that was to do something."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged", "No change"
    REFUSED = "refused"
