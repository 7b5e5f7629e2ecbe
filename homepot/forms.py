"""Form fields with the checks that neither database makes alike."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from rest_framework.exceptions import APIException
from unfold.widgets import UnfoldAdminExpandableTextareaWidget

from homepot.parsers import loads

# What fits an integer of 64 bits in any case.
MAX_DIGITS = 18


def is_key(value: Any) -> bool:
    """Whether `value`, as it came from a browser, can be asked for as a primary key."""
    text = str(value)
    return text.isdecimal() and len(text) <= MAX_DIGITS


class KeyAutocomplete(AutocompleteSelect):
    """Django's looks up whatever it was sent, and crashes on what is no key."""

    def value_from_datadict(self, *args: Any) -> Any:
        value = super().value_from_datadict(*args)
        return value if is_key(value) else ""


class KeysAutocomplete(AutocompleteSelectMultiple):
    """The same for several."""

    def value_from_datadict(self, *args: Any) -> Any:
        return [value for value in super().value_from_datadict(*args) if is_key(value)]


class JSONObjectField(forms.JSONField):
    """A JSON object, written and shown as text under the limits of the API; empty is {}."""

    widget = UnfoldAdminExpandableTextareaWidget(
        attrs={"class": "homepot-code", "spellcheck": "false"}
    )

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return {}
        try:
            parsed = loads(value.encode())
        except APIException as error:
            raise ValidationError(str(error.detail).replace("The body", "This", 1)) from None
        if not isinstance(parsed, dict):
            raise ValidationError('Write a JSON object, such as {"gateway_url": "https://..."}.')
        return parsed

    def prepare_value(self, value: Any) -> Any:
        # What was typed is text already and comes back as it was.
        if isinstance(value, str):
            return value
        return json.dumps(value or {}, indent=2, ensure_ascii=False)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled else data

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or {}))
        except ValidationError:
            return True
