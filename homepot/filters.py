"""Filters that lists of several apps share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django_filters.constants import EMPTY_VALUES
from django_filters.utils import translate_validation
from rest_framework.exceptions import ValidationError
from rest_framework.fields import BooleanField, Field
from rest_framework.request import Request

from homepot.compiled import Asked, Question
from homepot.fields import UTCDateTimeField

# SQLite gives up on longer patterns, and no name is longer.
MAX_SEARCH_LENGTH = 200


class _TimeFormField(forms.Field):
    def to_python(self, value: Any) -> datetime | None:
        return _run(UTCDateTimeField(), value)


class _BooleanFormField(forms.Field):
    def to_python(self, value: Any) -> bool | None:
        return _run(BooleanField(), value)


def _run(field: Field, value: Any) -> Any:
    """`value` as `field` of a serializer reads it, None for an empty one; raises form errors."""
    if value in forms.Field.empty_values:
        return None
    try:
        return field.run_validation(value)
    except ValidationError as error:
        raise forms.ValidationError([str(detail) for detail in error.detail]) from error


class TimeFilter(django_filters.Filter):
    """A time as in bodies: ISO 8601 with an offset, in the years 2000-2199."""

    field_class = _TimeFormField


def time_span(column: str) -> tuple[TimeFilter, TimeFilter]:
    """`since` and `until`: from a time on, and before one."""
    return (
        TimeFilter(field_name=column, lookup_expr="gte"),
        TimeFilter(field_name=column, lookup_expr="lt"),
    )


class BooleanFilter(django_filters.BooleanFilter):
    """True or false as in bodies; django-filter's own takes any other word for no filter."""

    field_class = _BooleanFormField


class ChoiceFilter(django_filters.ChoiceFilter):
    """One of some words; what is none of them is refused by naming them."""

    def __init__(self, **kwargs: Any) -> None:
        words = ", ".join(str(value) for value, _ in kwargs["choices"])
        told = {"invalid_choice": f'"%(value)s" is none of {words}.'}
        super().__init__(**{"error_messages": told} | kwargs)


class SearchFilter(django_filters.CharFilter):
    """Part of a text; `method` says of which."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": MAX_SEARCH_LENGTH} | kwargs)


def filtered(question: Question, filterset_class: Any, request: Request) -> Question:
    """`question` with the filters that the query names; raises ValidationError by field."""
    known = filterset_class.base_filters
    if not any(name in known for name in request.query_params):
        return question
    form = filterset_class(request.query_params, request=request).form
    if not form.is_valid():
        raise translate_validation(form.errors)
    given = {name: value for name, value in form.cleaned_data.items() if value not in EMPTY_VALUES}
    return question.refined(
        _filter,
        filterset_class,
        *given,
        values={f"?{name}": value for name, value in given.items()},
        # A method may make any SQL of a value.
        is_kept=not any(known[name].method for name in given),
    )


def _filter(asked: Asked, rows: QuerySet, filterset_class: Any, *names: str) -> QuerySet:
    filters = filterset_class(queryset=rows).filters
    for name in names:
        rows = filters[name].filter(rows, asked[f"?{name}"])
    return rows
