"""Staff pages of sites."""

from __future__ import annotations

from functools import cache
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminSelect2Widget,
)

from homepot.admin import (
    DateRangeFilter,
    InUseFilter,
    RetirableModelAdmin,
    list_link,
    moment_text,
    on_list,
    on_page,
    two_lines,
)
from homepot.spreadsheets.admin import SheetAdmin
from sites import services
from sites.admin import commands
from sites.models import Site, known_timezones
from sites.sheet import SITES


@cache
def timezone_choices() -> list[tuple[str, str]]:
    """All IANA zones. Finding them on disk takes a while."""
    return [(name, name) for name in sorted(known_timezones())]


class SiteForm(forms.ModelForm):
    timezone = forms.ChoiceField(
        choices=timezone_choices,
        widget=UnfoldAdminSelect2Widget,
        initial="UTC",
        label="Time zone",
        help_text="The shop's own, for its opening hours and schedules.",
    )

    class Meta:
        widgets = {"description": UnfoldAdminExpandableTextareaWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "site_id" in self.fields:
            self.fields["site_id"].required = False
            self.fields["site_id"].help_text = "Never changes. Left empty, a random one is made."


@admin.register(Site)
class SiteAdmin(SheetAdmin, RetirableModelAdmin):
    sheet = SITES
    form = SiteForm
    list_display = ("place", "location", "zone", "device_count", "opened")
    list_filter = (InUseFilter, ("created_at", DateRangeFilter))
    filter_titles = {"created_at": "added"}
    search_fields = ("site_id", "name", "location")
    search_help_text = "Id, name or location"
    sortable_by = ("place", "opened")
    fieldsets = (
        (None, {"fields": ("site_id", "name", "description")}),
        ("Place", {"fields": ("location", "timezone", ("latitude", "longitude"))}),
        ("Times", {"fields": (("created_at", "updated_at"),)}),
    )
    add_fieldsets = (
        (None, {"fields": ("site_id", "name", "description")}),
        ("Place", {"fields": ("location", "timezone", ("latitude", "longitude"))}),
    )
    readonly_fields = ("created_at", "updated_at")
    has_sections = True
    actions = ("retire_selected",)
    actions_detail = ("make_enrolment_key", "revoke_enrolment_key", "retire")
    make_enrolment_key = on_page(commands.MAKE_ENROLMENT_KEY, "make-enrolment-key", "key")
    revoke_enrolment_key = on_page(commands.REVOKE_ENROLMENT_KEY, "revoke-enrolment-key", "key_off")
    retire = on_page(commands.RETIRE, "retire", "inventory_2")
    retire_selected = on_list(commands.RETIRE)
    empty_means = "A site is a place with devices: add the first, then the devices in it."

    def get_readonly_fields(self, request: HttpRequest, obj: Site | None = None) -> Any:
        return self.readonly_fields if obj is None else ("site_id", *self.readonly_fields)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        found, may_have_duplicates = super().get_search_results(request, queryset, search_term)
        if request.GET.get("model_name") == "device":
            # A field that asks where a device stands: not at a retired site.
            found = found.filter(is_active=True)
        return found, may_have_duplicates

    def describe_rows(self, rows: list[Any]) -> None:
        counts = device_counts([site.pk for site in rows])
        for site in rows:
            site.device_count = counts[site.pk]

    def create_object(self, request: Any, fields: dict[str, Any]) -> Site:
        return services.create_site(actor=request.user, **fields)

    def update_object(self, request: Any, obj: Site, fields: dict[str, Any]) -> Site:
        return services.update_site(site=obj, actor=request.user, **fields)

    @display(description="Site", ordering="name")
    def place(self, site: Site) -> str:
        return two_lines(site.name, site.site_id)

    @display(description="Time zone")
    def zone(self, site: Site) -> str:
        return site.timezone

    @display(description="Devices")
    def device_count(self, site: Any) -> SafeString:
        text = "1 device" if site.device_count == 1 else f"{site.device_count:,} devices"
        return list_link("devices_device", text, site__id__exact=site.pk)

    @display(description="Added", ordering="created_at")
    def opened(self, site: Site) -> SafeString:
        return moment_text(site.created_at)


def device_counts(site_pks: list[int]) -> dict[int, int]:
    """How many devices in use each of the sites has."""
    in_use = Count("devices", filter=Q(devices__is_active=True))
    sites = Site.objects.filter(pk__in=site_pks).order_by().values_list("pk")
    return dict(sites.annotate(device_count=in_use))
