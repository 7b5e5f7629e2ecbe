"""Places with devices."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from homepot.identifiers import validate_identifier
from homepot.models import TimestampedModel
from homepot.text import validate_name
from sites.querysets import SiteQuerySet


@cache
def known_timezones() -> frozenset[str]:
    """Kept, as Python looks through hundreds of files for them each time."""
    return frozenset(available_timezones())


def validate_timezone(name: str) -> None:
    """Raise ValidationError unless `name` is an IANA time zone, such as "Europe/Berlin"."""
    if name not in known_timezones():
        raise ValidationError(f"{name!r} is not an IANA time zone such as Europe/Berlin.")


class SiteManager(models.Manager.from_queryset(SiteQuerySet)):  # type: ignore[misc]
    def get_by_natural_key(self, site_id: str) -> Site:
        return self.get(site_id=site_id)


class Site(TimestampedModel):
    """A place with devices: a shop."""

    site_id = models.CharField(max_length=50, unique=True, validators=[validate_identifier])
    name = models.CharField(max_length=100, validators=[validate_name])
    description = models.TextField(blank=True)
    location = models.CharField(max_length=200, blank=True)
    timezone = models.CharField(max_length=64, default="UTC", validators=[validate_timezone])
    latitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)]
    )
    longitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)]
    )
    is_active = models.BooleanField(default=True)
    # SHA-256 of the key with which devices of this site enrol themselves.
    enrolment_key = models.CharField(
        max_length=64, unique=True, null=True, blank=True, editable=False
    )
    enrolment_key_hint = models.CharField(max_length=12, blank=True, editable=False)
    enrolment_key_expires_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SiteManager()

    class Meta:
        db_table = "sites"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(latitude__isnull=True) | Q(latitude__gte=-90, latitude__lte=90),
                name="site_latitude_in_range",
            ),
            models.CheckConstraint(
                condition=Q(longitude__isnull=True) | Q(longitude__gte=-180, longitude__lte=180),
                name="site_longitude_in_range",
            ),
        ]
        indexes = [
            # Lists of sites, newest first, and by name.
            models.Index(fields=["-created_at", "-id"], name="site_newest"),
            models.Index(fields=["name", "id"], name="site_by_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.site_id})"

    def natural_key(self) -> tuple[str]:
        return (self.site_id,)
