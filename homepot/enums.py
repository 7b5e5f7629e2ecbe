"""Fixed vocabularies of what all apps share."""

from __future__ import annotations

from django.db import models


class Vocabulary(models.TextChoices):
    """Words with labels in sentence case: "device_key_created" is "Device key created"."""

    @property
    def label(self) -> str:
        label = str(self._label_)
        # Django's own, made of the name, has every word begin with a capital.
        is_made = label == self.name.replace("_", " ").title()
        return label.capitalize() if is_made else label


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
