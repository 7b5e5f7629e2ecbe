"""The REST API with which admins manage accounts."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.filters import UserFilter
from accounts.models import SiteMembership, User
from accounts.policy import Action
from accounts.user_serializers import RoleSerializer, UserSerializer
from homepot.compiled import Asked
from homepot.viewsets import ResourceViewSet


class UserViewSet(ResourceViewSet):
    """Accounts. The role is changed at a path of its own; deleting one keeps its history."""

    resource_name = "users"
    serializer_class = UserSerializer
    filterset_class = UserFilter
    orderings = {"created_at": "created_at", "username": "username"}
    lookup_value_regex = r"[0-9]{1,18}"
    access = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), Action.ADMINISTER)
    queryset = User.objects.none()  # tells the schema the model

    @classmethod
    def rows(cls, asked: Asked) -> QuerySet:
        return User.objects.visible_to(asked.user)

    def page_of(self) -> dict[str, Any]:
        page = super().page_of()
        fill_site_ids(page["users"])
        return page

    def row_of(self, **columns: Any) -> dict[str, Any]:
        row = super().row_of(**columns)
        fill_site_ids([row])
        return row

    def perform_create(self, fields: dict[str, Any]) -> User:
        site_ids = fields.pop("site_ids", None)
        password = fields.pop("password", None)
        return services.create_user(
            actor=self.actor,
            password=password,
            must_change_password=password is not None,
            site_pks=site_pks_of(site_ids),
            **fields,
        )

    def perform_update(self, instance: User, fields: dict[str, Any]) -> None:
        site_ids = fields.pop("site_ids", None)
        services.update_user(
            user=instance, actor=self.actor, site_pks=site_pks_of(site_ids), **fields
        )

    def perform_destroy(self, instance: User) -> None:
        services.delete_user(user=instance, actor=self.actor)

    @extend_schema(request=RoleSerializer, responses=UserSerializer)
    @action(detail=True, methods=["put"], serializer_class=RoleSerializer)
    def role(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        data = self.body(request)
        user = self.get_object()
        services.change_role(user=user, role=self.checked(data)["role"], actor=self.actor)
        self.serializer_class = UserSerializer
        return Response(self.row_of(pk=user.pk))


def fill_site_ids(users: list[dict[str, Any]]) -> None:
    """Give each of `users` the text ids of its sites, in one statement for all."""
    site_ids = defaultdict(list)
    memberships = SiteMembership.objects.filter(user__in=[user["id"] for user in users])
    for user_pk, site_id in memberships.order_by("site__site_id").values_list(
        "user", "site__site_id"
    ):
        site_ids[user_pk].append(site_id)
    for user in users:
        user["site_ids"] = site_ids[user["id"]]


def site_pks_of(site_ids: list[str] | None) -> set[int] | None:
    """The primary keys of active sites; None stays None. Raises ValidationError by field."""
    if site_ids is None:
        return None
    # Through the membership's field: sites stand above accounts and cannot be imported here.
    sites: Any = SiteMembership._meta.get_field("site").related_model
    found = dict(sites.objects.active().filter(site_id__in=site_ids).values_list("site_id", "pk"))
    if unknown := sorted(set(site_ids) - set(found)):
        raise ValidationError({"site_ids": [f"There is no site {', '.join(unknown)[:200]}."]})
    return set(found.values())
