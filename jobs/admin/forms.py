"""What staff say of a job that they order."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from devices.admin.forms import LocalTimeField
from devices.models import Device
from homepot.fields import EARLIEST_YEAR, LATEST_YEAR
from homepot.forms import JSONObjectField, KeyAutocomplete, KeysAutocomplete
from homepot.text import MAX_TEXT_LENGTH
from jobs.admin.labels import segment_name
from jobs.configuration import refuse_empty_configuration
from jobs.enums import CONFIG_ACTIONS, ORDERED_ACTIONS, JobPriority
from jobs.models import Job
from jobs.schedule import site_time
from jobs.serializers import MAX_PAYLOAD_BYTES
from jobs.targets import SEGMENTS
from sites.models import Site

TTL_CHOICES = [
    (3600, "1 hour"),
    (14_400, "4 hours"),
    (86_400, "1 day"),
    (259_200, "3 days"),
    (604_800, "1 week"),
    (2_592_000, "30 days"),
]
TIMEOUT_CHOICES = [
    (600, "10 minutes"),
    (3600, "1 hour"),
    (21_600, "6 hours"),
    (86_400, "1 day"),
]
HTTP_URL = re.compile(r"https?://", re.IGNORECASE)


# What only updates of a configuration use; a page shows them for those.
CONFIG_FIELDS = ("config_version", "config_url")
NOT_USED = "Only updates of a configuration use this; leave it empty, or choose one as the action."


class JobForm(forms.Form):
    """One action and its limits, and for which devices, as far as that is not known already."""

    action = forms.ChoiceField(choices=ORDERED_ACTIONS, widget=UnfoldAdminSelectWidget)
    site = forms.ModelChoiceField(
        queryset=Site.objects.none(),
        required=False,
        widget=KeyAutocomplete(Device._meta.get_field("site"), admin.site),
        help_text="Left empty: every site that you may see.",
    )
    segment = forms.ChoiceField(
        choices=[(name, segment_name(name)) for name in SEGMENTS],
        label="Kind of devices",
        widget=UnfoldAdminSelectWidget,
    )
    devices = forms.ModelMultipleChoiceField(
        queryset=Device.objects.none(),
        required=False,
        label="Or devices one by one",
        widget=KeysAutocomplete(Job._meta.get_field("device"), admin.site),
        help_text="Instead of a site and a kind: only these are meant.",
    )
    description = forms.CharField(
        required=False,
        max_length=MAX_TEXT_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text="Why, for whoever looks later.",
    )
    priority = forms.TypedChoiceField(
        choices=[(value, name.capitalize()) for value, name in reversed(JobPriority.choices)],
        initial=JobPriority.NORMAL.value,
        coerce=int,
        widget=UnfoldAdminSelectWidget,
        help_text="The higher is offered first.",
    )
    scheduled = LocalTimeField(required=False)
    ttl_seconds = forms.TypedChoiceField(
        choices=TTL_CHOICES,
        initial=86_400,
        coerce=int,
        label="Expires after",
        widget=UnfoldAdminSelectWidget,
        help_text="A device that has not begun by then, because it was off, will not.",
    )
    timeout_seconds = forms.TypedChoiceField(
        choices=TIMEOUT_CHOICES,
        initial=3600,
        coerce=int,
        label="Fails after",
        widget=UnfoldAdminSelectWidget,
        help_text="Counted from when a device began, if it is not heard of again.",
    )
    config_version = forms.CharField(
        required=False,
        max_length=50,
        label="Configuration version",
        widget=UnfoldAdminTextInputWidget,
        help_text="For updates of a configuration.",
    )
    config_url = forms.URLField(
        required=False,
        max_length=500,
        label="Configuration URL",
        assume_scheme="https",
        widget=UnfoldAdminTextInputWidget,
        help_text="Devices fetch it, this server never does.",
    )
    payload = JSONObjectField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="A JSON object that devices are given as it stands, up to 64 KiB.",
    )
    collapse_key = forms.CharField(
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text="A job takes the place of what older ones with the same key have not begun.",
    )

    def __init__(
        self,
        *args: Any,
        user: Any,
        zone_name: str,
        has_segment: bool,
        has_place: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.zone_name = zone_name
        if not has_segment:
            del self.fields["segment"]
        if has_place:
            sites: Any = self.fields["site"]
            sites.queryset = Site.objects.active().visible_to(user)
            devices: Any = self.fields["devices"]
            devices.queryset = Device.objects.active().visible_to(user)
        else:
            del self.fields["site"], self.fields["devices"]
        now = timezone.now().astimezone(ZoneInfo(zone_name))
        self.fields["scheduled"].label = f"Not before, by the clocks of {zone_name}"
        self.fields[
            "scheduled"
        ].help_text = f"Left empty: at once. There it is {now:%Y-%m-%d %H:%M} now."

    def clean_config_url(self) -> str:
        url: str = self.cleaned_data["config_url"]
        if url and not HTTP_URL.match(url):
            raise ValidationError("Write a URL that begins with http:// or https://.")
        return url

    def clean_payload(self) -> dict[str, Any]:
        payload = self.cleaned_data["payload"] or {}
        if len(orjson.dumps(payload)) > MAX_PAYLOAD_BYTES:
            raise ValidationError("Write at most 64 KiB.")
        return payload

    def clean_scheduled(self) -> datetime | None:
        wall_time = self.cleaned_data["scheduled"]
        if wall_time is None:
            return None
        if not EARLIEST_YEAR <= wall_time.year <= LATEST_YEAR:
            raise ValidationError("Choose a time ahead.")
        moment = site_time(wall_time, self.zone_name)
        if moment <= timezone.now():
            raise ValidationError("Choose a time ahead, or none.")
        return moment

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        action = cleaned.get("action", "")
        for name in CONFIG_FIELDS:
            if action and action not in CONFIG_ACTIONS and cleaned.get(name):
                self.add_error(name, NOT_USED)
        if not self.errors:
            refuse_empty_configuration(action, cleaned)
        if cleaned.get("devices") and cleaned.get("site"):
            self.add_error("devices", "Choose a site, or devices one by one, not both.")
        return cleaned

    def job_fields(self) -> dict[str, Any]:
        """What the service is called with, besides the target."""
        fields = dict(self.cleaned_data)
        for name in ("site", "segment", "devices"):
            fields.pop(name, None)
        fields["scheduled_at"] = fields.pop("scheduled")
        return fields
