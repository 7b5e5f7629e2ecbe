"""What an order of a new configuration must say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from jobs.enums import CONFIG_ACTIONS

# Any one of them says which configuration is meant.
SAYS_WHICH = ("config_version", "config_url", "payload")
NOT_SAID = "Say which configuration: its version, its URL, or a payload that holds it."


def refuse_empty_configuration(action: str, fields: Mapping[str, Any]) -> None:
    """Raise ValidationError for an update that says nothing of what to update to.

    Every device would be given it, and fail.
    """
    if action in CONFIG_ACTIONS and not any(fields.get(name) for name in SAYS_WHICH):
        raise ValidationError({"config_version": [NOT_SAID]})
