"""The REST API of sites."""

from __future__ import annotations

from typing import Any

from django.http import Http404

from accounts.policy import READ_AND_OPERATE, READ_SITES, Action
from homepot.compiled import Asked, Question
from homepot.viewsets import ResourceViewSet
from sites import services
from sites.filters import SiteFilter
from sites.models import Site
from sites.querysets import SiteQuerySet
from sites.serializers import SiteSerializer
from sites.usual import usual_site


def find_site(asked: Asked) -> Site:
    """The active site `site_id` as asked; raises Http404 when the caller may not see it."""
    site = Question(asked, _active_site).first(Site)
    if site is None:
        raise Http404
    return site


def _active_site(asked: Asked) -> SiteQuerySet:
    return Site.objects.active().visible_to(asked.user).filter(site_id=asked["site_id"])


class SiteViewSet(ResourceViewSet):
    """Places with devices. Deleting one retires it: its history stays."""

    resource_name = "sites"
    serializer_class = SiteSerializer
    filterset_class = SiteFilter
    lookup_field = "site_id"
    orderings = {"created_at": "created_at", "name": "name", "site_id": "site_id"}
    access = {**READ_AND_OPERATE, **READ_SITES, "POST": Action.CREATE_SITES}
    queryset = Site.objects.none()  # tells the schema the model
    asks_before_creating = True

    @classmethod
    def rows(cls, asked: Asked) -> SiteQuerySet:
        return Site.objects.active().visible_to(asked.user)

    def made(self, data: Any) -> dict[str, Any]:
        return self.shown_new(self.perform_create(usual_site(data) or self.checked(data)))

    def perform_create(self, fields: dict[str, Any]) -> Site:
        # Who may be presumed only: what writes the site asks about them.
        caller: Any = self.request.user
        return services.create_site(actor=caller, **fields)

    def shown_new(self, created: Site) -> dict[str, Any]:
        return self.shape.of(created)

    def perform_update(self, instance: Site, fields: dict[str, Any]) -> None:
        services.update_site(site=instance, actor=self.actor, **fields)

    def perform_destroy(self, instance: Site) -> None:
        services.retire_site(site=instance, actor=self.actor)
