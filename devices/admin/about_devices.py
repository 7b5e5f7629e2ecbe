"""Long lists whose rows are about devices."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from devices.models import Device
from homepot.admin import LongTableAdmin, page_link, two_lines

# So many devices with a name like that are looked for.
FOUND_AT_MOST = 500


class AboutDevicesAdmin(LongTableAdmin):
    """Pages of a long table whose rows have a `device`."""

    list_select_related = ("device__site",)
    list_defer: tuple[str, ...] = ("device__config", "device__os_details", "device__permissions")
    search_fields = ("device__name",)
    search_help_text = "Id, name or address of the device"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """The rows of the devices that fit, which are few and found first.

        The words would otherwise be compared with every row of the table.
        """
        words = search_term.split()
        if not words or "\0" in search_term:
            return (queryset if not words else queryset.none()), False
        devices = Device.objects.visible_to(request.user).order_by()
        for word in words:
            devices = devices.filter(
                Q(device_id__icontains=word)
                | Q(name__icontains=word)
                | Q(ip_address__istartswith=word)
                | Q(mac_address__istartswith=word)
            )
        found = list(devices.values_list("pk", flat=True)[:FOUND_AT_MOST])
        return queryset.filter(device__in=found), False

    @display(description="Device")
    def terminal(self, row: Any) -> str:
        return two_lines(row.device.name, row.device.device_id)

    @display(description="Site")
    def place(self, row: Any) -> str:
        return two_lines(row.device.site.name, row.device.site.site_id)

    @display(description="Device")
    def its_device(self, row: Any) -> str:
        return page_link("devices_device", row.device.pk, row.device)
