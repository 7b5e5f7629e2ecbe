"""What staff write of devices, and what commands on them need to know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from devices.models import Device
from homepot.admin import CommandForm
from homepot.forms import JSONObjectField, KeyAutocomplete
from sites.models import Site

UNTIL_A_TIME = ""
DURATIONS = (
    ("30", "30 minutes"),
    ("60", "1 hour"),
    ("120", "2 hours"),
    ("240", "4 hours"),
    ("480", "8 hours"),
    ("1440", "1 day"),
    (UNTIL_A_TIME, "until the time below"),
)
LONGEST = timedelta(days=366)


class LocalTimeInput(UnfoldAdminTextInputWidget):
    input_type = "datetime-local"

    def format_value(self, value: Any) -> Any:
        return value.strftime("%Y-%m-%dT%H:%M") if isinstance(value, datetime) else value


class LocalTimeField(forms.Field):
    """A time as clocks at the site show it, without a zone."""

    widget = LocalTimeInput

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return datetime.fromisoformat(str(value)).replace(tzinfo=None)
        except ValueError:
            raise ValidationError("Write a time as 2026-01-31T18:30.") from None


class MaintenanceForm(CommandForm):
    duration = forms.ChoiceField(
        choices=DURATIONS,
        required=False,
        initial="60",
        label="For",
        widget=UnfoldAdminSelectWidget,
    )
    until = LocalTimeField(required=False)

    def __init__(self, *args: Any, thing: Device | None, request: HttpRequest, **kwargs: Any):
        super().__init__(*args, thing=thing, request=request, **kwargs)
        # Of many devices the sites may be in many zones.
        self.zone = ZoneInfo(thing.site.timezone) if thing else UTC
        local = timezone.now().astimezone(self.zone)
        zone_name = thing.site.timezone if thing else "UTC"
        self.fields["until"].label = f"Until, by the clocks of {zone_name}"
        self.fields["until"].help_text = f"There it is {local:%Y-%m-%d %H:%M} now."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        now = timezone.now()
        if minutes := cleaned.get("duration"):
            cleaned["ends_at"] = now + timedelta(minutes=int(minutes))
        elif until := cleaned.get("until"):
            ends_at = until.replace(tzinfo=self.zone).astimezone(UTC)
            if not now < ends_at <= now + LONGEST:
                self.add_error("until", "Choose a time ahead, within a year.")
            cleaned["ends_at"] = ends_at
        elif "until" not in self.errors:
            self.add_error("until", "Say until when.")
        return cleaned

    def command_fields(self) -> dict[str, Any]:
        return {"until": self.cleaned_data["ends_at"]}


class TransferForm(CommandForm):
    site = forms.ModelChoiceField(
        queryset=Site.objects.none(),
        label="To",
        widget=KeyAutocomplete(Device._meta.get_field("site"), admin.site),
    )

    def __init__(self, *args: Any, thing: Device | None, request: HttpRequest, **kwargs: Any):
        super().__init__(*args, thing=thing, request=request, **kwargs)
        sites: Any = self.fields["site"]
        sites.queryset = Site.objects.active().visible_to(request.user)


class DeviceForm(forms.ModelForm):
    config = JSONObjectField(
        required=False,
        label="Configuration",
        help_text="A JSON object, which the device is given as it stands.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "device_id" in self.fields:
            self.fields["device_id"].required = False
            self.fields["device_id"].help_text = "Never changes. Left empty, a random one is made."

    def clean_ip_address(self) -> str | None:
        return self.cleaned_data["ip_address"] or None

    def clean_mac_address(self) -> str:
        """As stored: lower case, with colons."""
        return str(self.cleaned_data["mac_address"]).lower().replace("-", ":")
