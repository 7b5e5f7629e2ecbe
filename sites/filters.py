"""What lists of sites can be filtered by."""

from __future__ import annotations

import django_filters
from django.db.models import Q, QuerySet

from homepot.filters import SearchFilter
from sites.models import Site


class SiteFilter(django_filters.FilterSet):
    search = SearchFilter(method="filter_search", label="Part of the id, name or location.")

    class Meta:
        model = Site
        fields: list[str] = []

    def filter_search(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(
            Q(site_id__icontains=value) | Q(name__icontains=value) | Q(location__icontains=value)
        )
