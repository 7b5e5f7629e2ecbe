"""What the resources of the API share: read rows, check input, call a service, answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, QueryDict
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from homepot import pagination
from homepot.identifiers import IDENTIFIER_PATTERN
from homepot.parsers import refuse_missing_length
from homepot.rows import RowShape, row_shape


class StrictViewSet(GenericViewSet):
    """Refuses query parameters that it does not know or gets twice: a slip must not list all."""

    resource_name: str
    ordering: str = "-created_at"
    # Public names of what a list can be ordered by, and their columns: indexed, never null.
    orderings: Mapping[str, str] = {"created_at": "created_at"}
    lookup_value_regex = IDENTIFIER_PATTERN
    filter_backends = [DjangoFilterBackend]
    filterset_class: Any = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action is not None:
            self._check_parameters(request)

    @property
    def paginator(self) -> pagination.KeysetPagination:
        return pagination.KeysetPagination(
            resource_name=self.resource_name,
            orderings=self.orderings,
            default_ordering=self.ordering,
        )

    @property
    def actor(self) -> Any:
        """Who changes something; the permission classes let nobody anonymous write."""
        return self.request.user

    def body(self, request: Request) -> Any:
        """The parsed body; raises what the parser refuses, before any row is looked for."""
        refuse_missing_length(request.META)
        data = request.data
        # What REST framework makes of an empty body that was labelled as a form.
        return {} if isinstance(data, QueryDict) else data

    def page_of(self, queryset: QuerySet) -> dict[str, Any]:
        """One page of `queryset`, filtered and ordered as the request says."""
        return self.paginator.page(self.filter_queryset(queryset), self.request, self.shape)

    def row_of(self, queryset: QuerySet) -> dict[str, Any]:
        """The single row of `queryset` as JSON; raises Http404 when there is none."""
        rows = self.shape.as_dicts(self.shape.select(queryset.order_by())[:1])
        if not rows:
            raise Http404
        return rows[0]

    def checked(self, data: Any, *, instance: Any = None, partial: bool = False) -> dict[str, Any]:
        """`data` as the serializer understands it; raises ValidationError by field."""
        serializer = self.get_serializer(instance, data=data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    @property
    def shape(self) -> RowShape:
        serializer_class: Any = self.get_serializer_class()
        return row_shape(serializer_class)

    def known_parameters(self) -> set[str]:
        """The query parameters of the action that is being served."""
        if self.action != "list":
            return set()
        filters = self.filterset_class.base_filters if self.filterset_class else ()
        return {*pagination.PARAMETERS, *filters}

    def _check_parameters(self, request: Request) -> None:
        known = self.known_parameters()
        hint = f"Known: {', '.join(sorted(known))}." if known else "None is known here."
        errors = {}
        for name, values in sorted(request.query_params.lists()):
            if name not in known:
                errors[name] = [f"This query parameter is not known. {hint}"]
            elif len(values) > 1:
                errors[name] = ["Give this query parameter once."]
        if errors:
            raise ValidationError(errors)


class ResourceViewSet(StrictViewSet):
    """List, create, read, change and retire one kind of thing.

    A subclass names its queryset, its serializer and the services behind `perform_create`,
    `perform_update` and `perform_destroy`, of which the first two return the changed object.
    """

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(self.page_of(self.get_queryset()))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(self.row_of(self._addressed()))

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        created = self.perform_create(self.checked(self.body(request)))
        return Response(self._row_by_pk(created.pk), status=status.HTTP_201_CREATED)

    def update(
        self, request: Request, *args: Any, partial: bool = False, **kwargs: Any
    ) -> Response:
        data = self.body(request)
        instance = self.get_object()
        self.perform_update(instance, self.checked(data, instance=instance, partial=partial))
        return Response(self._row_by_pk(instance.pk))

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.update(request, *args, partial=True, **kwargs)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.perform_destroy(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def perform_create(self, fields: dict[str, Any]) -> Any:
        raise NotImplementedError

    def perform_update(self, instance: Any, fields: dict[str, Any]) -> None:
        raise NotImplementedError

    def perform_destroy(self, instance: Any) -> None:
        raise NotImplementedError

    def get_object(self) -> Any:
        instance = self._addressed().first()
        if instance is None:
            raise Http404
        return instance

    def _addressed(self) -> QuerySet:
        return self.get_queryset().filter(**{self.lookup_field: self.kwargs[self.lookup_field]})

    def _row_by_pk(self, pk: int) -> dict[str, Any]:
        return self.row_of(self.get_queryset().filter(pk=pk))
