"""Filters that lists of several apps share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import django_filters
from django import forms
from rest_framework.exceptions import ValidationError

from homepot.fields import UTCDateTimeField


class _TimeFormField(forms.Field):
    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return UTCDateTimeField().run_validation(value)
        except ValidationError as error:
            raise forms.ValidationError([str(detail) for detail in error.detail]) from error


class TimeFilter(django_filters.Filter):
    """A time as in bodies: ISO 8601 with an offset, in the years 2000-2199."""

    field_class = _TimeFormField
