"""What lists of accounts can be filtered by."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet

from accounts.enums import Role, SiteAccess
from accounts.models import User, canonical
from homepot.filters import BooleanFilter, ChoiceFilter, SearchFilter


class _UsernameFormField(forms.CharField):
    def to_python(self, value: Any) -> str:
        return canonical(super().to_python(value) or "")


class UsernameFilter(django_filters.CharFilter):
    """A username in whatever spelling."""

    field_class = _UsernameFormField


class UserFilter(django_filters.FilterSet):
    role = ChoiceFilter(choices=Role.choices)
    is_active = BooleanFilter()
    site_access = ChoiceFilter(choices=SiteAccess.choices)
    search = SearchFilter(
        method="filter_search", label="Part of the username, e-mail address or full name."
    )

    class Meta:
        model = User
        fields: list[str] = []

    def filter_search(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(
            Q(username__icontains=value) | Q(email__icontains=value) | Q(full_name__icontains=value)
        )
