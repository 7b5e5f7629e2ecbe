"""What lists of devices and health checks can be filtered by."""

from __future__ import annotations

import django_filters
from django.db.models import Q, QuerySet

from devices.enums import DeviceStatus, DeviceType, EventKind, LifecycleState
from devices.models import Device, DeviceEvent, HealthCheck, StatusChange
from homepot.filters import BooleanFilter, ChoiceFilter, SearchFilter, time_span


class SiteDeviceFilter(django_filters.FilterSet):
    device_type = ChoiceFilter(choices=DeviceType.choices)
    status = ChoiceFilter(choices=DeviceStatus.choices, field_name="current_status")
    lifecycle_state = ChoiceFilter(choices=LifecycleState.choices)
    search = SearchFilter(method="filter_search", label="Part of the id, name or address.")

    class Meta:
        model = Device
        fields: list[str] = []

    def filter_search(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(
            Q(device_id__icontains=value)
            | Q(name__icontains=value)
            | Q(ip_address__icontains=value)
            | Q(mac_address__icontains=value)
        )


class DeviceFilter(SiteDeviceFilter):
    site_id = django_filters.CharFilter(field_name="site__site_id")


class HealthCheckFilter(django_filters.FilterSet):
    is_healthy = BooleanFilter()
    since, until = time_span("checked_at")

    class Meta:
        model = HealthCheck
        fields: list[str] = []


class StatusChangeFilter(django_filters.FilterSet):
    new_status = ChoiceFilter(choices=DeviceStatus.choices)
    since, until = time_span("at")

    class Meta:
        model = StatusChange
        fields: list[str] = []


class DeviceEventFilter(django_filters.FilterSet):
    kind = ChoiceFilter(choices=EventKind.choices)
    since, until = time_span("at")

    class Meta:
        model = DeviceEvent
        fields: list[str] = []
