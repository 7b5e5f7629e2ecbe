"""JSON shapes of sites."""

from __future__ import annotations

from rest_framework import serializers

from homepot.fields import StrictModelSerializer
from homepot.identifiers import validate_identifier
from homepot.text import MAX_TEXT_LENGTH
from sites.models import Site


class SiteSerializer(StrictModelSerializer):
    """A place with devices."""

    site_id = serializers.CharField(
        max_length=50,
        required=False,
        validators=[validate_identifier],
        help_text="Made by the server when it is not given; never changes.",
    )
    create_only = ("site_id",)

    class Meta:
        model = Site
        fields = [
            "site_id",
            "name",
            "description",
            "location",
            "timezone",
            "latitude",
            "longitude",
            "is_active",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["is_active", "created_at", "updated_at"]
        extra_kwargs = {"description": {"max_length": MAX_TEXT_LENGTH}}
