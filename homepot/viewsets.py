"""What the resources of the API share: read rows, check input, call a service, answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, QueryDict
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.permissions import action_of
from accounts.policy import may
from accounts.presumed import PresumedUser
from homepot import pagination
from homepot.compiled import Asked, Question
from homepot.fields import validated
from homepot.filters import filtered
from homepot.identifiers import IDENTIFIER_PATTERN
from homepot.parsers import refuse_missing_length
from homepot.renderers import ORJSONRenderer
from homepot.request_context import FAILURE
from homepot.rows import RowShape, row_shape


def reads(action: Callable[..., Any]) -> Callable[..., Response]:
    """An action that answers a GET with what it returns, as JSON, and nothing else.

    So it may be answered by the short way too: see short_reads.py.
    """

    @wraps(action)
    def respond(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(action(view, request, *args, **kwargs))

    respond.read = action  # type: ignore[attr-defined]
    return respond


def creates(action: Callable[..., Response]) -> Callable[..., Response]:
    """A `create` that answers 201 and what the view has `made` of the body, and nothing else.

    So it may be answered by the short way too: see short_creations.py.
    """
    action.creates = True  # type: ignore[attr-defined]
    return action


class StrictViewSet(GenericViewSet):
    """Refuses query parameters that it does not know or gets twice: a slip must not list all."""

    resource_name: str
    # Whether creating asks, first or while it writes, if the caller is who was presumed.
    asks_before_creating = False
    ordering: str = "-created_at"
    # Public names of what a list can be ordered by, and their columns: indexed, never null.
    orderings: Mapping[str, str] = {"created_at": "created_at"}
    lookup_value_regex = IDENTIFIER_PATTERN
    filter_backends = [DjangoFilterBackend]
    filterset_class: Any = None
    # Of the rows that it shows, whichever these are: names their model.
    queryset: Any

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action is not None:
            self._check_parameters(request)

    # None of these keeps anything of a request: they are made once, not for each.

    def get_authenticators(self) -> list[Any]:
        return _made(tuple(self.authentication_classes))

    def get_permissions(self) -> list[Any]:
        return _made(tuple(self.permission_classes))

    def get_parsers(self) -> list[Any]:
        return _made(tuple(self.parser_classes))

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # JSON is all there is, and what most callers take without a choice.
        if request.META.get("HTTP_ACCEPT", "*/*") in ("*/*", ORJSONRenderer.media_type):
            [renderer] = _made((ORJSONRenderer,))
            return renderer, renderer.media_type
        return super().perform_content_negotiation(request, force)

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
        if isinstance(self.request.user, PresumedUser):
            self.request.user = self.request.user.as_user()
        return self.request.user

    def body(self, request: Request) -> Any:
        """The parsed body; raises what the parser refuses, before any row is looked for.

        And what the short way met with it, in which case nothing is to be done any more.
        """
        if failure := request.META.get(FAILURE):
            raise failure
        refuse_missing_length(request.META)
        data = request.data
        # What REST framework makes of an empty body that was labelled as a form.
        return {} if isinstance(data, QueryDict) else data

    @classmethod
    def rows(cls, asked: Asked) -> QuerySet:
        """All rows that the view shows, of which the caller may know; see homepot/compiled.py."""
        raise NotImplementedError

    def get_queryset(self) -> QuerySet:
        return self.rows(self.asked())

    def asked(self, **values: Any) -> Asked:
        """Who asks, now, and the values of the path, among which `values` are."""
        return Asked(self.request.user, timezone.now(), {**self.kwargs, **values})

    def page_of(self) -> dict[str, Any]:
        """One page of `rows`, filtered and ordered as the request says."""
        question = Question(self.asked(), self.rows)
        if self.filterset_class:
            question = filtered(question, self.filterset_class, self.request)
        model = self.queryset.model
        return self.paginator.page(question, model, self.request, self.shape)

    def row_of(self, **columns: Any) -> dict[str, Any]:
        """The one of `rows` that has these columns, as JSON; raises Http404 without one."""
        question = Question(self.asked(**columns), self.rows).refined(_with, *columns)
        row = self.shape.first_of(question)
        if row is None:
            raise Http404
        return row

    def checked(self, data: Any, *, instance: Any = None, partial: bool = False) -> dict[str, Any]:
        """`data` as the serializer understands it; raises ValidationError by field."""
        serializer = self.get_serializer(instance, data=data, partial=partial)
        return validated(serializer)

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

    def read(self, request: Any, action: str, address: Mapping[str, Any]) -> Any:
        """What an action that `reads` returns, without what REST framework does around it.

        `request` has a user and what reading looks at. Raises what the action does, and
        PermissionDenied.
        """
        self.request, self.action, self.kwargs = request, action, dict(address)
        if not may(request.user, action_of(self, "GET")):
            raise PermissionDenied
        self._check_parameters(request)
        return getattr(self, action).read(self, request, **address)

    def _check_parameters(self, request: Request) -> None:
        if not request.query_params:
            return
        known = self.known_parameters()
        errors = {}
        for name, values in sorted(request.query_params.lists()):
            if name not in known:
                hint = f"Known: {', '.join(sorted(known))}." if known else "None is known here."
                errors[name] = [f"This query parameter is not known. {hint}"]
            elif len(values) > 1:
                errors[name] = ["Give this query parameter once."]
        if errors:
            raise ValidationError(errors)


class ResourceViewSet(StrictViewSet):
    """List, create, read, change and retire one kind of thing.

    A subclass names its rows, its serializer and the services behind `perform_create`,
    `perform_update` and `perform_destroy`, of which the first two return the changed object.
    """

    @reads
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.page_of()

    @reads
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.row_of(**{self.lookup_field: kwargs[self.lookup_field]})

    @creates
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(self.made(self.body(request)), status=status.HTTP_201_CREATED)

    def made(self, data: Any) -> dict[str, Any]:
        """Create what the body says, and show it."""
        return self.shown_new(self.perform_create(self.checked(data)))

    def update(
        self, request: Request, *args: Any, partial: bool = False, **kwargs: Any
    ) -> Response:
        data = self.body(request)
        instance = self.get_object()
        self.perform_update(instance, self.checked(data, instance=instance, partial=partial))
        return Response(self.row_of(pk=instance.pk))

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.update(request, *args, partial=True, **kwargs)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.perform_destroy(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def shown_new(self, created: Any) -> dict[str, Any]:
        """What was created as JSON: `shape.of` it where that is the same in less time."""
        return self.row_of(pk=created.pk)

    def perform_create(self, fields: dict[str, Any]) -> Any:
        raise NotImplementedError

    def perform_update(self, instance: Any, fields: dict[str, Any]) -> None:
        raise NotImplementedError

    def perform_destroy(self, instance: Any) -> None:
        raise NotImplementedError

    def get_object(self) -> Any:
        address = {self.lookup_field: self.kwargs[self.lookup_field]}
        instance = self.get_queryset().filter(**address).first()
        if instance is None:
            raise Http404
        return instance


@cache
def _made(classes: tuple[Any, ...]) -> list[Any]:
    return [each() for each in classes]


def _with(asked: Asked, rows: QuerySet, *columns: str) -> QuerySet:
    return rows.filter(**{column: asked[column] for column in columns})
