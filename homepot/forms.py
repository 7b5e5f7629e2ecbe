"""Form fields with the checks that neither database makes alike."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from rest_framework.exceptions import APIException
from unfold.widgets import UnfoldAdminExpandableTextareaWidget

from homepot.parsers import loads


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
            raise ValidationError(f"This cannot be kept as JSON. {error.detail}") from None
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
